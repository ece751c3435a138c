"""What a receipt says: frozen, exact, refused when it does not add up."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from paywindow.receipts.data import Buyer, Issuer, Line, Method, ReceiptData, References, Statement

PAID_AT = datetime(2026, 11, 14, 15, 3, 1, tzinfo=UTC)


def receipt(**changes: object) -> ReceiptData:
    content: dict[str, object] = {
        "number": "R-2026-000123",
        "issued_at": PAID_AT,
        "paid_at": PAID_AT,
        "issuer": Issuer(name="Gavel & Loom Ltd", address=("12 Saffron Hill", "London")),
        "buyer": Buyer(name="Jenny Rosen", email="jenny@example.com"),
        "lines": (Line(description="Vase", unit_amount=27550, amount=27550),),
        "total": 27550,
        "currency": "USD",
        "method": Method(brand="visa", last4="4242"),
        "references": References(auction_id="0b0f3a0e-6a3a-4a6e-9a51-6f4c2f6f2b11"),
    }
    return ReceiptData.model_validate({**content, **changes})


def test_data_survive_the_way_to_the_database_and_back() -> None:
    data = receipt(locale="ar", timezone="Asia/Kuwait", buyer=Buyer(name="ليلى", address=("شارع 12",)))

    assert ReceiptData.from_json(data.to_json()) == data


def test_the_stored_text_of_equal_data_is_equal() -> None:
    """However the moments were written, and in whatever order the fields came."""
    elsewhere = PAID_AT.astimezone(timezone(timedelta(hours=9)))

    assert receipt(paid_at=elsewhere).to_json() == receipt().to_json()


def test_frozen_data_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        receipt().total = 1


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"total": 27551}, "the lines add up to 27550"),
        ({"lines": ()}, "at least 1 item"),
        ({"total": 275.5}, "valid integer"),
        ({"currency": "usd"}, "not a currency"),
        ({"currency": "XYZ"}, "not a currency"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"timezone": "../etc/passwd"}, "not a time zone"),
        ({"template_version": "../../etc"}, "not a template version"),
        ({"paid_at": datetime(2026, 11, 14)}, "timezone info"),  # noqa: DTZ001 - the point of the case
        ({"kind": "credit_note"}, "names the receipt"),
        ({"kind": "statement"}, "names the receipt"),
        ({"kind": "statement", "refers_to": "R-2026-000100"}, "on statements, and on nothing else"),
        ({"statement": Statement(maker_id="m", platform_fee=0, payout=27550)}, "on statements, and on nothing else"),
        ({"platform_fee": 100}, "Extra inputs"),
    ],
)
def test_data_that_break_a_rule_are_refused(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        receipt(**changes)


def test_a_line_is_quantity_times_unit_amount() -> None:
    with pytest.raises(ValidationError, match="401 is not 2 x 200"):
        Line(description="Vase", quantity=2, unit_amount=200, amount=401)


def statement(**changes: object) -> ReceiptData:
    content: dict[str, object] = {
        "kind": "statement",
        "refers_to": "R-2026-000123",
        "buyer": Buyer(),
        "method": Method(),
        "statement": Statement(maker_id="9d0c52e1", platform_fee=2755, payout=24795),
    }
    return receipt(**{**content, **changes})


def test_a_statement_survives_the_way_to_the_database_and_back() -> None:
    assert ReceiptData.from_json(statement().to_json()) == statement()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"statement": Statement(maker_id="m", platform_fee=2755, payout=24796)}, "not the total less"),
        ({"buyer": Buyer(name="Jenny Rosen")}, "who the buyer is"),
        ({"method": Method(last4="4242")}, "who the buyer is"),
    ],
)
def test_a_statement_that_breaks_a_rule_is_refused(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        statement(**changes)


def test_stripes_fee_needs_its_currency() -> None:
    with pytest.raises(ValidationError, match="go together"):
        Statement(maker_id="m", platform_fee=0, payout=5, stripe_fee=1)
