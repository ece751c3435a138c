"""Prometheus' and Alertmanager's own tools find the files of ``docker/`` right; the runbook's queries run."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
RUNBOOK = ROOT / "docs/runbooks/stripe-payments.md"

Run = Callable[..., str]


@pytest.fixture
def run(require_program: Callable[[str], str]) -> Run:
    """Run a program in ``docker/`` and return what it printed."""

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [require_program(program), *arguments], cwd=DOCKER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_promtool_accepts_the_rules_and_the_configuration(run: Run) -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", "prometheus/rules/payments.yml")
    assert "SUCCESS" in run("promtool", "check", "config", "prometheus/prometheus.yml")


def test_every_alert_fires_and_is_silent_when_it_should_with_its_real_windows(run: Run) -> None:
    said = run("promtool", "test", "rules", "prometheus/tests/payments.yml", "prometheus/tests/days.yml")

    assert (said.count("SUCCESS"), said.count("FAILED")) == (2, 0)


def test_amtool_accepts_the_routes_and_their_templates(run: Run) -> None:
    found = run("amtool", "check-config", "alertmanager/alertmanager.yml")

    assert "3 receivers" in found
    assert "1 templates" in found


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["alertname=PaymentsHeld", "severity=warning", "component=checkout"], "slack"),
        (["alertname=PaymentsSuccessRateLow", "severity=critical", "component=checkout"], "slack,pagerduty"),
        (["alertname=PaymentsReceiptFailures", "severity=warning", "component=receipts"], "slack,opsgenie"),
        (["alertname=PaymentsWebhookLagHigh", "severity=critical", "component=webhooks"], "slack,pagerduty,opsgenie"),
        (["alertname=SomethingElse"], "slack"),
    ],
)
def test_an_alert_goes_to_those_whom_its_labels_name(run: Run, labels: list[str], receivers: str) -> None:
    found = run("amtool", "config", "routes", "test", "--config.file=alertmanager/alertmanager.yml", *labels)

    assert found.splitlines()[0] == receivers


def test_every_query_of_the_runbook_runs_and_reads_only(database_url: str) -> None:
    blocks = re.findall(r"^```sql\n(.*?)^```$", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    assert len(queries) > 10

    connection = psycopg2.connect(database_url)
    connection.set_session(readonly=True)
    with connection, connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
    connection.close()
