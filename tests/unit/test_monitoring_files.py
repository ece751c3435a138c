"""Rules, routes and dashboards agree with each other, with the code and with their pages."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from paywindow.cli import app, metrics_document

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
RUNBOOK = ROOT / "docs/runbooks/stripe-payments.md"


@cache
def load(path: str) -> Any:
    return yaml.safe_load((DOCKER / path).read_text())


def rules() -> list[dict[str, Any]]:
    return [rule for group in load("prometheus/rules/payments.yml")["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
DASHBOARD = json.loads((DOCKER / "grafana/dashboards/stripe-payments.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def sections(path: Path) -> dict[str, str]:
    """Heading -> text of the page's second level."""
    parts = re.split(r"^## (.+)$", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented_metrics() -> set[str]:
    """Every name that a query may use."""
    names = set()
    for name, kind in re.findall(r"^\| `(payments_\w+)` \| (\w+) \|", metrics_document.as_markdown(), re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def queries() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_the_page_of_metrics_is_what_the_code_says() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == metrics_document.as_markdown(), (
        "run: python -m paywindow.cli.metrics_document > docs/metrics.md"
    )


@pytest.mark.parametrize(("where", "query"), list(queries()), ids=[where for where, _ in queries()])
def test_every_query_asks_for_metrics_that_exist(where: str, query: str) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = set(re.findall(r"\bpayments[:_][\w:]+", re.sub(r'"[^"]*"', "", query)))

    assert asked <= documented_metrics() | recorded


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_leads_to_its_section_of_the_runbook(alert: str) -> None:
    page, _, anchor = ALERTS[alert]["annotations"]["runbook_url"].partition("#")

    assert ROOT / page == RUNBOOK
    assert anchor == alert.lower()
    text = sections(RUNBOOK)[alert]
    assert all(f"**{part}.**" in text for part in ("Means", "Look", "Do"))


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    assert set(sections(RUNBOOK)) == {*ALERTS, "Before anything else"}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_whom_to_tell_and_what_is_wrong(alert: str) -> None:
    components = {"checkout", "webhooks", "books", "receipts", "queue", "stripe", "platform"}

    assert ALERTS[alert]["labels"]["severity"] in ("critical", "warning")
    assert ALERTS[alert]["labels"]["component"] in components
    assert set(ALERTS[alert]["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_unit_tests_in_which_it_fires_and_in_which_it_does_not(alert: str) -> None:
    files = [load(f"prometheus/tests/{name}.yml") for name in ("payments", "days")]
    tests = [test for each in files for group in each["tests"] for test in group["promql_expr_test"]]
    expected = [bool(test["exp_samples"]) for test in tests if f'alertname="{alert}"' in test["expr"]]

    assert True in expected
    assert False in expected


def test_every_command_that_the_runbook_names_exists() -> None:
    named = set(re.findall(r"(?:^    |`)paywindow ([a-z][a-z-]*(?: [a-z][a-z-]*)*)", RUNBOOK.read_text(), re.MULTILINE))
    assert "dead run" in named

    for words in named:
        command: Any = get_command(app)
        for word in words.split():
            assert word in command.commands, f"paywindow {words}"
            command = command.commands[word]


def test_every_panel_is_described_on_its_page() -> None:
    page = ROOT / "docs/analytics/stripe-payments-dashboard.md"
    described = re.findall(r"^\| ([^|]+?) \| (.+?) \|", page.read_text(), re.MULTILINE)

    assert [row for row in described if row[0] not in ("panel", "---")] == [
        (panel["title"], panel["description"]) for panel in PANELS
    ]


def test_the_panels_that_the_runbook_names_exist() -> None:
    titles = {panel["title"] for panel in PANELS}
    emphasised = set(re.findall(r"(?<!\*)\*([^\s*][^*\n]*)\*(?!\*)", RUNBOOK.read_text()))

    assert emphasised - titles == {
        "Payments Checkout",
        "Developers, Webhooks",
        "Developers, Events",
        "Developers, API keys",
        "Payments, Disputes",
        "Resend",
        "Status, Targets",
        "No actor named...",
    }


def test_the_dashboard_is_provisioned_with_the_data_source_that_its_panels_use() -> None:
    (source,) = load("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    used = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}

    assert used == {source["uid"]}
    assert source["jsonData"]["timeInterval"] == load("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_key_is_in_the_routes() -> None:
    text = (DOCKER / "alertmanager/alertmanager.yml").read_text()

    secrets = re.findall(r"^\s+-? ?(\w*(?:key|url|token|password)\w*): (\S+)", text, re.MULTILINE)
    assert {name for name, _ in secrets} == {"api_url_file", "routing_key_file", "api_key_file"}
    assert all(value.startswith("/run/secrets/") for _, value in secrets)
