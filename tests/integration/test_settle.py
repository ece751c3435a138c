"""What happens to money: settled once when it is right and in time, otherwise given back or held, and told."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock
from paywindow.errors import StripeUnavailable
from paywindow.models import database as db
from paywindow.models.tables import CheckoutAttempt, Notification, PaymentSession, Receipt, StripeEvent

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


def assert_given_back(shop: Shop, session: PaymentSession, reason: str, minor: int = 27550) -> None:
    """The money went back by itself: a transaction, a refund, a transition, and no receipt number for it."""
    after = shop.session(session.id)
    (row,) = [row for row in shop.transactions(session) if row.status == "refunded"]
    (refund,) = shop.refunds(session)
    (at_stripe,) = shop.ledger()["refunds"]
    assert after.hold_reason is None
    assert row.settled_at is None
    assert (refund.status, refund.amount_minor, refund.made_by) == ("succeeded", minor, f"system:{reason}")
    assert (at_stripe["amount"], at_stripe["idempotency_key"]) == (minor, str(refund.id))
    assert at_stripe["payment_intent"] == row.stripe_payment_intent_id
    assert [each.event for each in shop.transitions(session)].count(reason) == 1
    assert "payment.refunded" in shop.notifications(session)
    assert not [each for each in shop.rows(Receipt) if each.transaction_id == row.id]
    assert not [each for each in shop.rows(StripeEvent) if each.handled_at is None]


def late(shop: Shop, policy: str = "refund") -> PaymentSession:
    """A session paid half a minute after its deadline, on a page that Stripe keeps for half an hour at least."""
    session = shop.open_session(window_minutes=5, late_policy=policy)
    shop.pass_time(minutes=5, seconds=30)
    shop.pay(session)
    return session


def test_a_payment_after_the_deadline_is_given_back_and_the_window_closes(shop: Shop) -> None:
    session = late(shop)

    shop.deliver()
    shop.sweep()

    assert_given_back(shop, session, "paid_late")
    assert shop.rows(Receipt) == []
    after = shop.session(session.id)
    assert (after.status, after.released_at is None) == ("expired", False)
    shown = shop.snapshot(session)
    assert (shown["transaction"]["status"], shown["transaction"]["settled"]) == ("refunded", False)
    assert [row["status"] for row in shown["refunds"]] == ["succeeded"]


def test_a_payment_after_the_deadline_is_held_where_the_session_says_so(shop: Shop) -> None:
    session = late(shop, "hold")

    shop.deliver()

    assert_held(shop, session, "paid_late_held")
    assert shop.rows(Receipt) == []
    assert shop.ledger()["refunds"] == []


def test_a_payment_after_the_deadline_settles_where_the_session_says_so(shop: Shop) -> None:
    session = late(shop, "accept")

    shop.deliver()

    assert shop.session(session.id).status == "completed"
    assert len(shop.rows(Receipt)) == 1


def test_late_money_is_not_accepted_for_an_auction_that_the_next_bidder_has(shop: Shop) -> None:
    session = late(shop, "accept")
    with db.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()
    following = shop.open_session(auction_id=str(session.auction_id))

    shop.deliver()

    assert_given_back(shop, session, "paid_twice")
    assert shop.session(following.id).status == "pending"


@pytest.mark.parametrize("name", ["sweeps.windows", "checkout.cancel", "window.expire"])
def test_late_money_found_while_the_page_is_closed_is_given_back(shop: Shop, name: str) -> None:
    session = late(shop)

    if name == "sweeps.windows":
        shop.sweep()
    else:
        shop.command(name, session_id=str(session.id), reason="asked for")
    shop.sweep()
    shop.deliver()
    shop.sweep()

    assert_given_back(shop, session, "paid_late")
    assert shop.session(session.id).released_at is not None


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


def test_a_payment_after_the_cancel_is_given_back(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():  # as if Stripe had answered the cancel before it took the money
        PaymentSession.update(status="canceled", released_at=clock.now(), canceled_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()

    shop.deliver()

    assert_given_back(shop, session, "paid_canceled")
    assert shop.session(session.id).status == "canceled"
    assert shop.rows(Receipt) == []


def paid_again(shop: Shop, session: PaymentSession) -> None:
    """The buyer pays the session's first page, which has been replaced: as if Stripe had taken the money while closing it."""
    first = shop.rows(CheckoutAttempt, CheckoutAttempt.session == session.id)[0]
    page = shop.open_page_elsewhere({"payment_session_id": str(session.id), "attempt": "1"}, session.amount_minor)
    with db.transaction():
        CheckoutAttempt.update(stripe_checkout_id=page["id"], stripe_payment_intent_id=None, status="open").where(
            CheckoutAttempt.id == first.id
        ).execute()
    shop.control(f"checkout/{page['id']}/pay", card="4242424242424242")


def test_of_two_payments_for_a_session_the_first_stays_and_the_second_is_given_back(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    paid_again(shop, session)

    shop.deliver()

    assert_given_back(shop, session, "paid_twice")
    assert [row.settled_at is not None for row in shop.transactions(session)] == [True, False]
    assert shop.session(session.id).status == "completed"
    assert len(shop.rows(Receipt)) == 1
    assert shop.ledger()["refunds"][0]["reason"] == "duplicate"


def expired_though_paid(shop: Shop) -> tuple[PaymentSession, PaymentSession]:
    """A session paid in time, of which we learn only after the next bidder's was opened; and the next bidder's."""
    session = shop.open_session()
    shop.pay(session)
    with db.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()
    return session, shop.open_session(auction_id=str(session.auction_id))


def test_a_session_paid_in_time_takes_its_auction_back_from_the_next_bidder_who_has_not_paid(shop: Shop) -> None:
    session, following = expired_though_paid(shop)

    shop.deliver()

    after, other = shop.session(session.id), shop.session(following.id)
    assert (after.status, after.released_at, after.hold_reason) == ("completed", None, None)
    assert (other.status, other.released_at is None) == ("expired", False)
    assert {page["status"] for page in shop.ledger()["sessions"]} == {"complete", "expired"}
    assert shop.notifications(following)[-2:] == ["payment.expired", "auction.released"]
    assert len(shop.rows(Receipt)) == 1
    assert shop.ledger()["refunds"] == []


def test_what_was_given_back_before_a_payment_took_its_auction_back_gets_its_credit_note(shop: Shop) -> None:
    session, _ = expired_though_paid(shop)
    shop.deliver(work=False)
    while not [message for message in shop.queue.messages if message.actor_name == "payment.take_back"]:
        shop.run(shop.queue.messages.popleft())
    take_back = shop.take("payment.take_back")  # Stripe cannot be reached for a while
    shop.work()
    shop.control("refunds", payment_intent=shop.transactions(session)[0].stripe_payment_intent_id, amount=500)
    shop.deliver()

    shop.run(take_back)
    shop.work()

    assert sorted((each.kind, each.total_minor) for each in shop.rows(Receipt)) == [
        ("credit_note", 500),
        ("receipt", 27550),
    ]


def test_of_two_bidders_who_paid_in_time_the_first_settled_stays_and_the_other_is_given_back(shop: Shop) -> None:
    session, following = expired_though_paid(shop)
    shop.pay(following)

    for event in [event for event in shop.events() if event["type"] == "checkout.session.completed"][::-1]:
        shop.deliver_event(event)
        shop.work()
    shop.deliver()

    assert_given_back(shop, session, "paid_twice")
    assert shop.session(following.id).status == "completed"


def test_a_next_bidder_who_is_found_to_have_paid_while_his_page_is_closed_stays(shop: Shop) -> None:
    session, following = expired_though_paid(shop)
    shop.pay(following)
    events = [event for event in shop.events() if event["data"]["object"].get("client_reference_id") == str(session.id)]

    for event in events:
        shop.deliver_event(event)
    shop.work()

    assert shop.session(following.id).status == "completed"
    assert_given_back(shop, session, "paid_twice")


def test_while_the_next_bidders_page_cannot_be_closed_nothing_is_decided(shop: Shop) -> None:
    session, following = expired_though_paid(shop)
    shop.fault("refuse_connection", times=1000, path_suffix="/expire")

    with pytest.raises(StripeUnavailable):
        shop.deliver()
    shop.queue.messages.clear()
    assert [shop.session(each.id).status for each in (session, following)] == ["expired", "pending"]
    (row,) = shop.transactions(session)
    assert (row.status, row.settled_at) == ("succeeded", None)
    shop.mend()
    shop.pass_time(minutes=1)
    shop.sweep()

    assert [shop.session(each.id).status for each in (session, following)] == ["completed", "expired"]


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


def test_a_late_payment_that_is_told_twice_is_given_back_once(shop: Shop) -> None:
    session = late(shop)
    shop.deliver()
    for event in shop.events():
        shop.deliver_event({**event, "id": f"{event['id']}_again"})
    shop.work()

    assert_given_back(shop, session, "paid_late")
    assert shop.notifications(session).count("payment.refunded") == 1


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
