"""What is read from a Charge of the money behind it."""

from typing import Any

import pytest

from paywindow.errors import Permanent
from paywindow.figures import read_figures

FEE = {"id": "fee_1", "amount": 2_755, "amount_refunded": 100, "currency": "eur"}
TRANSFER = {"id": "tr_1", "amount": 27_550, "amount_reversed": 1_000, "currency": "eur"}


def charge(**changes: Any) -> dict[str, Any]:
    entry = {"id": "txn_1", "fee": 829, "currency": "eur", "exchange_rate": None}
    return {
        **{"id": "ch_1", "currency": "eur", "balance_transaction": entry, "application_fee": FEE, "transfer": TRANSFER},
        **changes,
    }


def test_fee_and_transfer_of_a_destination_charge_are_read() -> None:
    found = read_figures(charge())

    assert (found.stripe_fee, found.stripe_fee_currency, found.converted) == (829, "EUR", False)
    assert (found.application_fee, found.application_fee_returned) == (2_755, 100)
    assert (found.transfer_id, found.transferred, found.transfer_reversed) == ("tr_1", 27_550, 1_000)


@pytest.mark.parametrize(
    "part", [{"transfer": {**TRANSFER, "currency": "usd"}}, {"application_fee": {**FEE, "currency": "usd"}}]
)
def test_what_was_passed_on_in_another_currency_is_not_taken_for_parts_of_the_payment(part: dict[str, Any]) -> None:
    found = read_figures(charge(**part))

    assert (found.converted, found.stripe_fee) == (True, 829)
    assert (found.transfer_id, found.transferred, found.transfer_reversed) == (None, 0, 0)
    assert (found.application_fee_id, found.application_fee, found.application_fee_returned) == (None, None, 0)


def test_before_anything_is_known_nothing_is_told() -> None:
    found = read_figures({"id": "ch_1", "currency": "eur", "balance_transaction": None})

    assert (found.stripe_fee, found.transfer_id, found.application_fee, found.converted) == (None, None, None, False)


def test_what_is_no_charge_is_refused() -> None:
    with pytest.raises(Permanent, match="not a Charge"):
        read_figures({"balance_transaction": {"id": "txn_1"}})
