"""Card numbers in the database are found wherever they are, in bounded steps, and never shown."""

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, metrics
from paywindow.actors import card_scan
from paywindow.messages import build
from paywindow.models import card_scans, database
from paywindow.models.tables import CardFinding, CardScan, Outbox, PaymentSession, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

NUMBER = "4000 0027 6000 3184"


def _write_a_number(shop: Shop) -> PaymentSession:
    """A seller puts a buyer's card number into a description, and it travels into a webhook's body."""
    session = shop.open_session(description=f"Table, charge {NUMBER} 12/34")
    shop.pay(session)
    shop.deliver()
    event = shop.rows(StripeEvent)[-1]
    body = json.loads(event.body)
    body["data"]["object"]["description"] = NUMBER.replace(" ", "")
    with database.transaction():
        StripeEvent.update(body=json.dumps(body)).where(StripeEvent.id == event.id).execute()
    return session


def _places(shop: Shop) -> set[tuple[str, str]]:
    return {(row.table_name, row.column_name) for row in shop.rows(CardFinding)}


def _scan(shop: Shop) -> CardScan:
    """Run the sweep until the scan is finished."""
    shop.run(build("sweeps.card_numbers"))
    shop.work()
    scan: CardScan = shop.rows(CardScan, CardScan.started_at.is_null(False))[-1]
    assert scan.finished_at is not None
    return scan


def test_every_table_with_texts_is_read_and_has_a_key(shop: Shop) -> None:
    with database.transaction():
        sources = {source.table: source for source in card_scans.sources()}

    assert {"payment_sessions", "stripe_events", "checkout_attempts", "operations", "outbox", "notifications"} <= set(
        sources
    )
    assert {"body", "last_error"} <= set(sources["stripe_events"].columns)
    assert [name for name, _ in sources["reconciliation_seen"].key] == ["reconciliation_id", "stripe_id"]


def test_a_whole_purchase_leaves_nothing_that_looks_like_a_card_number(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    shop.refund(session)

    scan = _scan(shop)

    assert shop.rows(CardFinding) == []
    assert scan.rows_read > 20


def test_a_number_is_found_in_columns_and_in_the_bodies_of_events_and_is_never_shown(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    session = _write_a_number(shop)

    with caplog.at_level(logging.INFO):
        _scan(shop)

    assert {("payment_sessions", "description"), ("stripe_events", "body"), ("checkout_attempts", "params")} <= _places(
        shop
    )
    (finding,) = shop.rows(CardFinding, CardFinding.table_name == "payment_sessions")
    assert (finding.row_key, finding.last_four) == (str(session.id), "3184")
    assert metrics.CARD_NUMBERS.labels("payment_sessions")._value.get() == 1
    assert metrics.CARD_NUMBERS.labels("refunds")._value.get() == 0
    assert f"a card number is in payment_sessions.description of the row {session.id}" in caplog.text
    assert "0027 6000" not in caplog.text
    assert "00276000" not in caplog.text


def test_a_scan_goes_on_where_it_stopped_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_scans, "PAGE", 2)
    monkeypatch.setattr(card_scan, "STEPS", 3)
    _write_a_number(shop)
    with database.transaction():
        expected = sum(
            database.database.execute_sql(f"SELECT count(*) FROM {source.table}").fetchone()[0]  # noqa: S608
            for source in card_scans.sources()
            if source.table not in ("card_scans", "card_findings")
        )

    shop.run(build("sweeps.card_numbers"))
    (unfinished,) = shop.rows(CardScan)
    assert unfinished.steps == 3
    assert unfinished.finished_at is None
    scan = _scan(shop)

    assert scan.id == unfinished.id
    assert scan.rows_read >= expected
    assert ("stripe_events", "body") in _places(shop)


def test_of_two_runs_at_once_one_goes_on_and_each_place_is_recorded_once(shop: Shop) -> None:
    _write_a_number(shop)

    shop.together(build("sweeps.card_numbers"), build("sweeps.card_numbers"))
    shop.work()

    (scan,) = shop.rows(CardScan)
    assert scan.finished_at is not None
    assert len(shop.rows(CardFinding, CardFinding.table_name == "payment_sessions")) == 1


def test_a_day_later_it_looks_again_and_forgets_what_is_gone(shop: Shop) -> None:
    session = _write_a_number(shop)
    _scan(shop)
    _scan(shop)
    assert len(shop.rows(CardScan)) == 1

    with database.transaction():
        PaymentSession.update(description=None).where(PaymentSession.id == session.id).execute()
    shop.pass_time(hours=25)
    _scan(shop)

    assert len(shop.rows(CardScan)) == 2
    assert metrics.CARD_NUMBERS.labels("payment_sessions")._value.get() == 0


def test_a_row_whose_key_is_a_number_is_named_without_it(shop: Shop) -> None:
    with database.transaction():
        at = clock.now()
        Outbox.create(actor="publish.session", arguments=NUMBER, created_at=at, next_send_at=at)
        StripeEvent.create(
            id=NUMBER, type="x", livemode=False, stripe_created_at=at, received_at=at, body="{}", handled_at=at
        )

    _scan(shop)

    assert [row.row_key for row in shop.rows(CardFinding, CardFinding.table_name == "stripe_events")] == ["[card]"]


def test_the_command_says_where_and_ends_with_1(shop: Shop, paywindow: Any) -> None:
    clean = paywindow("pci-scan", "--json")
    assert (clean.exit_code, json.loads(clean.stdout)["findings"]) == (0, [])
    session = _write_a_number(shop)

    found = paywindow("pci-scan", "--json")
    shown = paywindow("pci-scan")

    assert found.exit_code == shown.exit_code == 1
    place = {"table": "payment_sessions", "column": "description", "row": str(session.id), "lastFour": "3184"}
    assert place in json.loads(found.stdout)["findings"]
    assert str(session.id) in shown.stdout
    assert "0027" not in found.output + shown.output


def test_a_table_without_a_primary_key_is_an_error_that_names_it(shop: Shop) -> None:
    with database.transaction():
        database.database.execute_sql("CREATE TABLE keyless (text text)")

        with pytest.raises(ValueError, match="keyless"):
            card_scans.sources()


@pytest.mark.parametrize("who", [str(uuid.UUID(int=1)), "pi_34242424242424242"])
def test_identifiers_with_many_digits_are_no_card_numbers(shop: Shop, who: str) -> None:
    shop.open_session(description=f"lot {who}")

    _scan(shop)

    assert shop.rows(CardFinding) == []
