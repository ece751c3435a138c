"""What happens to money: settled once when it is right and in time, otherwise kept, held and told."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock
from paywindow.models import database as db
from paywindow.models.tables import Notification, PaymentSession, Receipt, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


def assert_held(shop: Shop, session: PaymentSession, reason: str) -> None:
    """The money is on record, unsettled; the session waits for an operator, and nobody can cancel it away."""
    held = shop.session(session.id)
    rows = [row for row in shop.transactions(session) if row.status == "succeeded" and row.settled_at is None]
    assert held.hold_reason == reason
    assert held.hold_since is not None
    assert len(rows) == 1
    assert "payment.held" in shop.notifications(session)
    assert shop.snapshot(session)["paymentSession"]["hold"]["reason"] == reason
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None
    outcome = shop.cancel(session)
    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_held")
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


def late(shop: Shop) -> PaymentSession:
    """A session paid half a minute after its deadline, on a page that Stripe keeps for half an hour at least."""
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=5, seconds=30)
    shop.pay(session)
    return session


def test_a_payment_after_the_deadline_is_held(shop: Shop) -> None:
    session = late(shop)

    shop.deliver()

    assert_held(shop, session, "paid_late")
    assert shop.rows(Receipt) == []


def test_a_payment_within_the_grace_is_not_late(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(PAYMENT_LATE_GRACE_SECONDS="60")
    session = late(shop)

    shop.deliver()

    assert shop.session(session.id).status == "completed"


def test_a_payment_in_time_that_is_learned_of_late_settles(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.pass_time(hours=30)

    shop.deliver()

    after = shop.session(session.id)
    assert (after.status, after.hold_reason) == ("completed", None)
    assert after.completed_at.timestamp() == shop.ledger()["charges"][0]["created"]


def test_a_payment_in_time_that_only_the_sweep_learns_of_settles(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.pass_time(hours=30)

    shop.sweep()

    assert shop.session(session.id).status == "completed"


@pytest.mark.parametrize("change", [{"amount_minor": 27551}, {"currency": "EUR"}])
def test_another_amount_or_currency_than_asked_is_held(shop: Shop, change: dict[str, Any]) -> None:
    session = shop.open_session()
    with db.transaction():
        PaymentSession.update(**change).where(PaymentSession.id == session.id).execute()
    shop.pay(session)

    shop.deliver()

    assert_held(shop, session, "paid_mismatched")
    assert shop.rows(Receipt) == []
    assert shop.transactions(session)[0].amount_minor == 27550


def test_a_payment_after_the_cancel_is_held_and_never_lost(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():  # as if Stripe had answered the cancel before it took the money
        PaymentSession.update(status="canceled", released_at=clock.now(), canceled_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()

    shop.deliver()

    assert_held(shop, session, "paid_canceled")
    assert shop.session(session.id).status == "canceled"
    assert shop.rows(Receipt) == []


def test_a_second_payment_for_a_settled_session_is_held_and_the_first_stays(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    event = shop.event("checkout.session.completed")
    page = {**event["data"]["object"], "payment_intent": "pi_second"}

    shop.deliver_event({**event, "id": "evt_second", "data": {"object": page}})
    shop.work()

    assert_held(shop, session, "paid_twice")
    assert [row.settled_at is not None for row in shop.transactions(session)] == [True, False]
    assert shop.session(session.id).status == "completed"
    assert len(shop.rows(Receipt)) == 1


def test_a_payment_for_an_auction_that_the_next_bidder_has_taken_is_held(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()
    following = shop.open_session(auction_id=str(session.auction_id))

    shop.deliver()

    assert_held(shop, session, "paid_twice")
    assert shop.session(following.id).status == "pending"


def test_an_expired_session_that_was_paid_in_time_is_settled_and_takes_its_auction_back(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()

    shop.deliver()

    after = shop.session(session.id)
    assert (after.status, after.released_at) == ("completed", None)
    assert shop.create(shop.request(auction_id=str(session.auction_id)))["status"] == 409


def test_money_for_a_held_session_is_kept_and_held_too(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():
        PaymentSession.update(hold_reason="operator", hold_since=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()

    shop.deliver()

    assert_held(shop, session, "operator")
    assert shop.session(session.id).status == "pending"


def test_a_late_payment_that_is_told_twice_is_held_once(shop: Shop) -> None:
    session = late(shop)
    shop.deliver()
    for event in shop.events():
        shop.deliver_event({**event, "id": f"{event['id']}_again"})
    shop.work()

    assert shop.notifications(session).count("payment.held") == 1
    assert len(shop.transactions(session)) == 1


def test_the_platform_fee_is_on_record_with_the_settled_payment(shop: Shop) -> None:
    session = shop.open_session(platform_fee_minor=1500)
    shop.pay(session)

    shop.deliver()

    (row,) = shop.transactions(session)
    assert (row.platform_fee_minor, row.stripe_fee_minor) == (1500, None)


def test_a_settlement_tells_the_marketplace_in_the_shape_of_standard_webhooks(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()

    row = next(row for row in shop.rows(Notification) if row.type == "payment.completed")
    payload = json.loads(row.payload)
    assert set(payload) == {"type", "timestamp", "data"}
    assert payload["type"] == "payment.completed"
    assert payload["data"]["paymentSessionId"] == str(session.id)
    assert '"amount":275.50' in row.payload
