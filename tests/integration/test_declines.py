"""Declined cards: each is on record with its reason, the page stays payable, and nobody is told *failed* once paid."""

from typing import TYPE_CHECKING, Any

import pytest

from paywindow.models import database as db
from paywindow.models.tables import PaymentSession, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

DECLINED = "The card was declined. Please use another card or ask your bank."
CARDS = [
    ("4000000000000002", "card_declined", "generic_decline", DECLINED),
    (
        "4000000000009995",
        "card_declined",
        "insufficient_funds",
        "The card does not have enough funds. Please use another card.",
    ),
    # Whoever holds the card must not learn that it was reported.
    ("4000000000009987", "card_declined", "lost_card", DECLINED),
    ("4000000000009979", "card_declined", "stolen_card", DECLINED),
    ("4000000000000069", "expired_card", "expired_card", "The card has expired. Please use another card."),
    (
        "4000000000000127",
        "incorrect_cvc",
        "incorrect_cvc",
        "The card's security code is not right. Please check it and try again.",
    ),
    (
        "4000000000000119",
        "processing_error",
        "processing_error",
        "The card could not be processed. Please try again in a moment.",
    ),
    ("4100000000000019", "card_declined", "fraudulent", DECLINED),
]


@pytest.mark.parametrize(("card", "code", "decline_code", "text"), CARDS, ids=[card[2] for card in CARDS])
def test_a_declined_card_is_on_record_and_the_buyer_is_told_why(
    shop: Shop, card: str, code: str, decline_code: str, text: str
) -> None:
    session = shop.open_session()
    shop.pay(session, card=card)

    shop.deliver()

    (row,) = shop.transactions(session)
    assert (row.status, row.failure_code, row.decline_code, row.failure_reason) == ("failed", code, decline_code, text)
    assert (row.amount_minor, row.settled_at) == (27550, None)
    public = shop.snapshot(session, "buyer")["paymentSession"]
    assert (public["status"], public["failure"]["message"]) == ("failed", text)
    assert public["stripeCheckoutUrl"] == shop.ledger()["sessions"][0]["url"]


def test_a_declined_card_and_then_a_good_one_on_the_same_page_settle(shop: Shop) -> None:
    session = shop.open_session()
    for card in ("4000000000000002", "4000000000009995"):
        shop.pay(session, card=card)
        shop.deliver()

    shop.pay(session)
    shop.deliver()

    after = shop.session(session.id)
    assert (after.status, after.failure_code, after.failure_message) == ("completed", None, None)
    assert [row.status for row in shop.transactions(session)] == ["failed", "failed", "succeeded"]
    assert len({row.stripe_charge_id for row in shop.transactions(session)}) == 3
    assert len(shop.ledger()["sessions"]) == 1
    assert shop.notifications(session) == ["payment.failed", "payment.completed", "receipt.issued"]


def test_a_decline_that_is_told_twice_is_one_charge_and_one_notification(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")
    shop.deliver()

    for event in shop.events():
        shop.deliver_event({**event, "id": f"{event['id']}_again"})
    shop.work()

    assert len(shop.transactions(session)) == 1
    assert shop.notifications(session) == ["payment.failed"]
    assert [row.event for row in shop.transitions(session)] == ["page_opened", "declined"]


def test_a_decline_that_is_told_after_the_payment_changes_nothing_that_a_buyer_sees(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")
    declined = shop.event("payment_intent.payment_failed")
    shop.pay(session)
    shop.tell("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")
    before = shop.snapshot(session, "buyer")

    shop.deliver_event(declined)
    shop.work()

    after = shop.snapshot(session, "buyer")
    assert {**after["paymentSession"], "version": 0} == {**before["paymentSession"], "version": 0}
    assert after["transaction"] == before["transaction"]
    assert shop.notifications(session) == ["payment.completed", "receipt.issued"]
    assert sorted(row.status for row in shop.transactions(session)) == ["failed", "succeeded"]


def test_a_decline_of_an_earlier_attempt_never_fails_the_session(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")
    with db.transaction():
        PaymentSession.update(attempt_number=2).where(PaymentSession.id == session.id).execute()

    shop.deliver()

    assert shop.session(session.id).status == "pending"
    assert [row.status for row in shop.transactions(session)] == ["failed"]


def test_a_failed_3d_secure_step_fails_the_session_without_a_charge(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000003220", authenticate=False)

    shop.deliver()

    after = shop.session(session.id)
    assert (after.status, after.failure_code) == ("failed", "payment_intent_authentication_failure")
    assert after.failure_message == "The bank did not confirm the payment. Please try again or use another card."
    assert shop.transactions(session) == []


def tell_again(shop: Shop, suffix: str) -> None:
    """Every event comes once more, as another Event object of Stripe's; and those that came are replayed."""
    for event in shop.events():
        shop.deliver_event({**event, "id": event["id"] + suffix})
    for row in shop.rows(StripeEvent):
        shop.command("events.replay", event_id=row.id)


def test_a_decline_without_a_charge_is_one_fact_however_often_it_is_told(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000003220", authenticate=False)
    shop.deliver()

    tell_again(shop, "_again")

    assert [row.event for row in shop.transitions(session)] == ["page_opened", "declined"]
    assert shop.notifications(session) == ["payment.failed"]


def test_a_decline_from_before_a_retry_on_the_open_page_does_not_fail_the_session_again(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000003220", authenticate=False)
    shop.deliver()
    shop.pass_time(minutes=20)
    shop.sweep()
    shop.work()
    assert (shop.session(session.id).status, shop.session(session.id).attempt_number) == ("pending", 1)

    tell_again(shop, "_again")

    assert shop.session(session.id).status == "pending"
    assert shop.notifications(session) == ["payment.failed", "payment.retry_available"]

    # A new one is news.
    shop.pay(session, card="4000000000003220", authenticate=False)
    shop.deliver()
    assert shop.session(session.id).status == "failed"
    assert shop.notifications(session)[-1] == "payment.failed"


def test_a_declined_charge_that_is_told_after_the_retry_is_on_record_and_fails_nothing(shop: Shop) -> None:
    session = shop.open_session()
    for card in ("4000000000000002", "4000000000009995"):
        shop.pay(session, card=card)
    first, late = [each for each in shop.events() if each["type"] == "payment_intent.payment_failed"]
    shop.deliver_event(first)
    shop.work()
    shop.pass_time(minutes=20)
    shop.sweep()
    shop.work()

    shop.deliver_event(late)
    shop.work()

    assert shop.session(session.id).status == "pending"
    assert len(shop.transactions(session)) == 2


def test_a_passed_3d_secure_step_settles(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000003220", authenticate=True)

    shop.deliver()

    assert shop.session(session.id).status == "completed"
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]
