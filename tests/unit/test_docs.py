"""The documentation: what is generated is current, what is written by hand names things that exist."""

import re
from pathlib import Path

import pytest

from paywindow import discrepancies, invariants, messages, settings_document
from paywindow.actors.handlers import HANDLERS, nothing_to_do
from paywindow.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FOLDERS = ("app", "actors", "http", "models", "schedules", "tests", "docs", "docker")

# [text](target), outside of code.
_LINK = re.compile(r"!?\[[^\]]+\]\(([^)\s]+)\)")
# `actors/payment.py`, or `app/checkout.py: freeze_params`.
_PLACE = re.compile(rf"`((?:{'|'.join(FOLDERS)}|\.ci)/[^`\s:]*)(?:: ([\w.]+))?`")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(path: Path) -> str:
    return _CODE_BLOCK.sub("", path.read_text())


def _anchors(path: Path) -> set[str]:
    """The anchors that a renderer gives to the headings of a page: lower case, punctuation gone, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _pairs(path: Path) -> dict[str, str]:
    """First and second cell of the tables' rows whose first cell is code, without the backquotes."""
    rows = [line.split(" | ") for line in path.read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip("|` "): row[1].strip("|` ") for row in rows}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_prose(page)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_place_in_the_code_that_a_page_names_exists(page: Path) -> None:
    missing = []
    for path, name in _PLACE.findall(page.read_text()):
        found = ROOT / path
        if not found.exists() or (name and not _defines(found, name)):
            missing.append(f"{path}: {name}" if name else path)
    assert missing == []


def _defines(path: Path, dotted: str) -> bool:
    name = re.escape(dotted.rpartition(".")[2])
    return re.search(rf"^\s*(?:(?:async )?def|class) {name}\b|^{name}(?::.*)? = ", path.read_text(), re.M) is not None


def test_the_configuration_page_is_what_the_settings_say() -> None:
    document = (DOCS / "configuration.md").read_text()

    assert document == settings_document.as_markdown(), (
        "run: python -m paywindow.settings_document > docs/configuration.md"
    )


def test_every_setting_is_described_once_and_nothing_else_is() -> None:
    described = [name for part in settings_document.MEANING.values() for name in part]

    assert sorted(described) == sorted(Settings.model_fields)


def test_a_setting_that_nobody_described_cannot_be_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_document, "MEANING", {})

    with pytest.raises(KeyError, match="public_url"):
        settings_document.as_markdown()


def test_the_page_of_events_names_each_event_with_its_handler() -> None:
    documented = _pairs(DOCS / "events.md")

    assert documented == {event: handler.__name__ for event, handler in HANDLERS.items()}


def test_the_webhook_endpoint_is_created_for_exactly_the_events_that_have_an_effect() -> None:
    asked_for = re.findall(r"enabled_events\[\]=([\w.]+)", (DOCS / "going-live.md").read_text())

    assert asked_for == [event for event, handler in HANDLERS.items() if handler is not nothing_to_do]


def test_the_webhook_endpoint_is_created_at_the_sdks_api_version() -> None:
    import stripe

    named = re.findall(r"\d{4}-\d{2}-\d{2}\.[a-z]+", (DOCS / "going-live.md").read_text())

    assert set(named) == {stripe.api_version}


def test_the_architecture_names_each_actor_with_its_queue() -> None:
    documented = {
        name: queue for name, queue in _pairs(DOCS / "architecture.md").items() if queue in set(messages.Queue)
    }

    assert documented == {name: queue.value for name, queue in messages.ACTORS.items()}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?:^|[\s`(\"'])(/(?:tmp|home|root|work|Users)/\S*)", page.read_text()) == []


def test_the_reconciliation_page_has_the_table_of_discrepancies() -> None:
    document = (DOCS / "reconciliation.md").read_text()

    assert discrepancies.as_markdown() in document, "run: python -m paywindow.discrepancies"


def test_the_audits_page_has_the_table_of_invariants() -> None:
    document = (DOCS / "audit.md").read_text()

    assert invariants.as_markdown() in document, "run: python -m paywindow.invariants"
