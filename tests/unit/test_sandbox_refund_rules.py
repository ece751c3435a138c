"""The sandbox's rules about refunds that no payment of today's sandbox can reach, and what is said of changes."""

from typing import Any

import pytest

from paywindow.sandbox.cards import TEST_CARDS, RefundCourse
from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.events import previous_attributes
from paywindow.sandbox.refund_objects import build_debit, build_refund, build_return
from paywindow.sandbox.refund_rules import check_create
from paywindow.sandbox.store import Store

NOW = 1_800_000_000


def charge(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 10_000,
        "amount_refunded": 0,
        "application_fee_amount": None,
        "currency": "usd",
        "customer": None,
        "description": "Lot 7",
        "disputed": False,
        "payment_intent": "pi_1",
        "payment_method": "pm_1",
        "payment_method_details": {"type": "card"},
        "refunded": False,
        "status": "succeeded",
        "transfer_data": None,
        **changes,
    }


def refusal(params: dict[str, Any], **changes: Any) -> StripeError:
    store = Store()
    store.add(charge(**changes))
    with pytest.raises(StripeError) as caught:
        check_create(store, {"charge": "ch_1", **params})
    assert caught.value.status == 400
    return caught.value


def test_a_disputed_charge_is_not_refunded() -> None:
    assert refusal({}, disputed=True).code == "charge_disputed"


def test_the_fee_is_not_given_back_while_the_seller_keeps_the_money() -> None:
    passed_on: dict[str, Any] = {"transfer_data": {"destination": "acct_1"}, "application_fee_amount": 500}
    assert refusal({"refund_application_fee": True}, **passed_on).param == "refund_application_fee"


def test_fractions_that_a_currency_does_not_have_are_refused() -> None:
    assert refusal({"amount": 150}, currency="ugx").param == "amount"
    assert refusal({"amount": 1_005}, currency="kwd").param == "amount"


def test_metadata_are_put_in_order_before_they_are_kept() -> None:
    store = Store()
    store.add(charge())
    params: dict[str, Any] = {"charge": "ch_1", "metadata": {"a": "1", "b": ""}}
    assert check_create(store, params)[1] == 10_000
    assert params["metadata"] == {"a": "1"}


def test_what_a_failed_refund_takes_and_returns_is_nothing_in_sum() -> None:
    paid = charge()
    refund = build_refund(paid, {}, 2_500, "succeeded", NOW)
    debit, back = build_debit(paid, refund, NOW), build_return(refund, NOW)
    assert (debit["net"], debit["fee"], debit["description"]) == (-2_500, 0, "REFUND FOR CHARGE (Lot 7)")
    assert debit["net"] + back["net"] == 0


def test_a_change_names_what_was_there_before() -> None:
    before = {"a": 1, "b": {"c": 2, "d": 3}, "gone": "x", "same": [1]}
    after = {"a": 1, "b": {"c": 2, "d": 4}, "new": "y", "same": [1]}
    assert previous_attributes(before, after) == {"b": {"d": 3}, "gone": "x", "new": None}


def test_cards_whose_refunds_take_a_course_of_their_own_are_offered() -> None:
    courses = {number: card.refund for number, card in TEST_CARDS.items() if card.refund is not RefundCourse.SUCCEEDS}
    assert courses == {"4000000000007726": RefundCourse.PENDS, "4000000000005126": RefundCourse.FAILS_LATER}
