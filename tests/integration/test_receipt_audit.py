"""``paywindow receipts``: the proof that nothing is missing, what it finds when something is, and drawing again."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner, Result

from paywindow import messages
from paywindow.actors.runtime import runtime
from paywindow.cli import app
from paywindow.models import database as db
from paywindow.models.tables import Outbox, Receipt, ReceiptCounter

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

Cli = Callable[..., Result]


@pytest.fixture
def cli(shop: Shop, shop_environment: dict[str, str]) -> Cli:
    """Runs ``paywindow receipts``; the command connects the models anew, to the same database."""
    environment = {name: shop_environment[name] for name in ("DATABASE_URL", "RECEIPT_FOLDER")}
    return lambda *arguments: CliRunner(env=environment).invoke(app, ["receipts", *arguments])


@pytest.fixture
def sold(shop: Shop) -> list[Any]:
    """Three receipts, as stored."""
    for _ in range(3):
        shop.pay(shop.open_session())
    shop.deliver()
    rows: list[Any] = shop.rows(Receipt)
    return sorted(rows, key=lambda row: str(row.receipt_number))


def change(statement: Any) -> None:
    with db.transaction():
        statement.execute()


def findings(result: Result) -> list[str]:
    assert result.exit_code == 1, result.output
    return [found["about"] for found in json.loads(result.stdout)["findings"]]


def test_an_audit_of_sound_books_says_so(cli: Cli, sold: list[Any]) -> None:
    result = cli("audit", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "series": [{"name": sold[0].series, "last": 3, "documents": 3}],
        "filesVerified": 3,
        "onTheirWay": 0,
        "findings": [],
    }
    assert "every file is the one on record" in cli("audit").stdout


def test_a_number_without_a_document_is_found(cli: Cli, sold: list[Any]) -> None:
    change(Receipt.delete().where(Receipt.id == sold[1].id))

    about = findings(cli("audit", "--json"))
    assert sold[1].receipt_number in about
    assert str(sold[1].transaction_id) in about, "its settlement has no receipt any more"


def test_a_counter_that_was_set_back_is_found(cli: Cli, sold: list[Any]) -> None:
    change(ReceiptCounter.update(last_number=2))

    assert findings(cli("audit", "--json")) == [sold[0].series]


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"%PDF-forged"), Path.unlink])
def test_a_file_that_is_not_the_one_on_record_is_found(
    cli: Cli, sold: list[Any], shop: Shop, harm: Callable[[Path], Any]
) -> None:
    harm(shop.settings.receipt_folder / sold[2].storage_key)

    result = cli("audit")
    assert result.exit_code == 1
    assert f"{sold[2].receipt_number}: " in result.output
    assert findings(cli("audit", "--json")) == [sold[2].receipt_number]


def test_what_is_still_to_be_numbered_or_drawn_is_no_fault(cli: Cli, sold: list[Any], shop: Shop) -> None:
    shop.deaf_to = {"receipts.render"}
    shop.pay(shop.open_session())
    shop.deliver()
    shop.deaf_to = {"receipts.issue"}
    shop.pay(shop.open_session())
    shop.deliver()

    report = json.loads(cli("audit", "--json").stdout)
    assert (report["onTheirWay"], report["findings"]) == (2, [])


def test_a_settlement_that_nobody_will_number_is_found(cli: Cli, sold: list[Any], shop: Shop) -> None:
    shop.deaf_to = {"receipts.issue"}
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    change(Outbox.delete().where(Outbox.actor == "receipts.issue"))

    (paid,) = shop.transactions(session)
    assert findings(cli("audit", "--json")) == [str(paid.id)]


def test_a_document_is_shown_by_number_and_by_id_with_its_downloads(cli: Cli, sold: list[Any], shop: Shop) -> None:
    shop.run(messages.locate_receipt(sold[0].session_id, sold[0].id, None, "backoffice"))

    shown = json.loads(cli("show", sold[0].receipt_number, "--json").stdout)
    assert shown["sha256"] == sold[0].sha256
    assert shown["says"]["total"] == 27550
    assert [download["who"] for download in shown["downloads"]] == ["backoffice"]
    assert json.loads(cli("show", str(sold[0].id), "--json").stdout) == shown
    assert "backoffice" in cli("show", sold[0].receipt_number).stdout
    assert cli("show", "R-1999-000001").exit_code == 1


def test_a_document_is_drawn_again_with_the_same_words(cli: Cli, sold: list[Any], tmp_path: Path) -> None:
    again = tmp_path / "again.pdf"

    assert cli("render", sold[0].receipt_number, "--output", str(again)).exit_code == 0

    def words(pdf: bytes) -> str:
        return " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)

    assert words(again.read_bytes()) == words(runtime().receipts.get(sold[0].storage_key))
