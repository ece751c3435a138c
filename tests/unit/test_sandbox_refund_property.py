"""Whatever people, banks and time do to refunds in whatever order: the sandbox's books agree with one another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paywindow.sandbox.cards import TEST_CARDS
from paywindow.sandbox.checkout import create_session
from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.events import NO_REQUEST
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.methods import Buyer, CardMethod
from paywindow.sandbox.payments import pay
from paywindow.sandbox.refunds import (
    cancel_refund,
    create_refund,
    fail_refund,
    require_action,
    settle_refunds,
    succeed_refund,
)

AMOUNT = 1_000
CHANGES = {
    "succeed": succeed_refund,
    "fail": fail_refund,
    "cancel": cancel_refund,
    "require_action": require_action,
}
STEPS = st.one_of(
    st.tuples(st.just("create"), st.one_of(st.none(), st.integers(-1, AMOUNT + 1))),
    st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 5)),
    st.tuples(st.just("settle"), st.none()),
)


def paid_charge(sandbox: Sandbox, card: str) -> JsonObject:
    price = {"currency": "usd", "unit_amount": AMOUNT, "product_data": {"name": "Lot 7"}}
    params: JsonObject = {
        "mode": "payment",
        "success_url": "https://shop.example/done",
        "line_items": [{"quantity": 1, "price_data": price}],
    }
    session = create_session(sandbox, params, page_base="http://127.0.0.1", cause=NO_REQUEST)
    result = pay(sandbox, session, CardMethod(TEST_CARDS[card]), Buyer("buyer@example.com"))
    return sandbox.store.get("charge", result.intent["latest_charge"])


def take(sandbox: Sandbox, charge: JsonObject, step: str, value: int | None) -> None:
    if step == "create":
        create_refund(sandbox, {"charge": charge["id"]} | ({} if value is None else {"amount": value}))
    elif step == "settle":
        settle_refunds(sandbox)
    elif made := list(sandbox.store.oldest_first("refund")):
        CHANGES[step](sandbox, made[(value or 0) % len(made)])


def check_books(sandbox: Sandbox, charge: JsonObject) -> None:
    made = list(sandbox.store.oldest_first("refund"))
    counted = sum(refund["amount"] for refund in made if refund["status"] not in ("failed", "canceled"))
    assert charge["amount_refunded"] == counted <= AMOUNT
    assert charge["refunded"] is (counted == AMOUNT)
    assert -counted == sum(transaction["net"] for transaction in sandbox.store.oldest_first("balance_transaction"))
    for refund in made:
        assert ("failure_reason" in refund) is (refund["status"] in ("failed", "canceled"))
        assert ("pending_reason" in refund) is (refund["status"] == "pending")
        assert ("next_action" in refund) is (refund["status"] == "requires_action")


def check_last_events(sandbox: Sandbox) -> None:
    """What was told last of every refund and charge is how they are now."""
    told: dict[str, JsonObject] = {}
    for event in sandbox.store.oldest_first("event"):
        if event["type"].startswith(("refund.", "charge.refund.")):
            told[event["data"]["object"]["id"]] = event["data"]["object"]
    assert list(told.values()) == list(sandbox.store.oldest_first("refund"))


@pytest.mark.parametrize("card", ["4242424242424242", "4000000000007726", "4000000000005126"])
@settings(deadline=None)
@given(steps=st.lists(STEPS, max_size=12))
def test_charge_balance_and_events_agree_with_the_refunds(card: str, steps: list[tuple[str, int | None]]) -> None:
    sandbox = Sandbox(SandboxConfig(clock_file=None))
    charge = paid_charge(sandbox, card)
    for step, value in steps:
        before = [dict(refund) for refund in sandbox.store.oldest_first("refund")]
        try:
            take(sandbox, charge, step, value)
        except StripeError as error:
            assert error.status == 400
            assert before == list(sandbox.store.oldest_first("refund"))
        check_books(sandbox, charge)
    check_last_events(sandbox)
