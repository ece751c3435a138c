"""Ending a hold: the operator keeps the money or gives it back, and until then nothing moves."""

from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock
from paywindow.models import database as db
from paywindow.models.tables import Notification, PaymentSession, Receipt

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Documents are numbered, not drawn."""
    shop.deaf_to = {"receipts.render"}
    return shop


def late(shop: Shop) -> PaymentSession:
    """A session that was paid late and is held."""
    session = shop.open_session(window_minutes=5, late_policy="hold")
    shop.pass_time(minutes=6)
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).hold_reason == "paid_late_held"
    return session


def mismatched(shop: Shop, **changes: Any) -> PaymentSession:
    """A session that was paid with another amount than its own, and is held."""
    session = shop.open_session(**changes)
    with db.transaction():
        PaymentSession.update(amount_minor=PaymentSession.amount_minor + 1).where(
            PaymentSession.id == session.id
        ).execute()
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).hold_reason == "paid_mismatched"
    return session


def release(session: PaymentSession) -> None:
    with db.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()


def test_accepting_settles_receipt_and_all(shop: Shop) -> None:
    session = late(shop)

    outcome = shop.resolve(session, "accept")

    assert (outcome["status"], outcome["body"]["paymentSession"]["status"]) == (200, "completed")
    after = shop.session(session.id)
    assert (after.status, after.hold_reason, after.released_at) == ("completed", None, None)
    (row,) = shop.transactions(session)
    assert row.settled_at is not None
    assert [receipt.total_minor for receipt in shop.rows(Receipt)] == [27550]
    assert shop.ledger()["refunds"] == []


def test_accepting_another_amount_settles_what_was_paid(shop: Shop) -> None:
    session = mismatched(shop, platform_fee_minor=1500)

    shop.resolve(session, "accept")

    (row,) = shop.transactions(session)
    assert (row.amount_minor, row.platform_fee_minor, row.settled_at is None) == (27550, 1500, False)
    assert [receipt.total_minor for receipt in shop.rows(Receipt)] == [27550]


def test_refunding_gives_everything_back_and_the_window_goes_on(shop: Shop) -> None:
    session = late(shop)

    outcome = shop.resolve(session, "refund")
    shop.sweep()

    assert outcome["status"] == 200
    after = shop.session(session.id)
    assert (after.status, after.hold_reason, after.released_at is None) == ("expired", None, False)
    assert [row.status for row in shop.transactions(session)] == ["refunded"]
    (refund,) = shop.refunds(session)
    assert (refund.made_by, refund.why) == ("service:shop", "looked at")
    assert shop.rows(Receipt) == []


def test_after_a_mismatch_is_refunded_in_time_the_buyer_gets_a_new_page(shop: Shop) -> None:
    session = mismatched(shop)

    shop.resolve(session, "refund")
    shop.sweep()

    after = shop.session(session.id)
    assert (after.status, after.attempt_number) == ("pending", 2)
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"]


def test_a_hold_stops_the_timers_until_it_is_resolved(shop: Shop) -> None:
    session = mismatched(shop)

    shop.pass_time(days=3)
    shop.sweep()
    assert shop.session(session.id).status == "pending"
    shop.resolve(session, "refund")
    shop.sweep()

    assert shop.session(session.id).status == "expired"


def test_what_ended_the_hold_is_audited_and_announced(shop: Shop) -> None:
    session = late(shop)

    shop.resolve(session, "accept")

    last = shop.transitions(session)[-1]
    assert (last.event, last.who, last.why, last.hold_reason) == (
        "resolve_accept",
        "service:shop",
        "looked at",
        None,
    )
    told = [row for row in shop.rows(Notification) if row.type == "payment.held"][-1].payload
    assert '"resolved":{"hold":"paid_late_held","decision":"accept","reason":"looked at"}' in told
    assert "payment.completed" in shop.notifications(session)


def test_money_is_not_accepted_for_an_auction_that_is_taken(shop: Shop) -> None:
    session = late(shop)
    release(session)
    following = shop.open_session(auction_id=str(session.auction_id))

    outcome = shop.resolve(session, "accept")

    assert (outcome["status"], outcome["body"]["code"]) == (409, "auction_taken")
    assert outcome["body"]["sessionId"] == str(following.id)
    assert shop.session(session.id).hold_reason == "paid_late_held"
    assert shop.resolve(session, "refund")["status"] == 200


def test_money_of_an_expired_session_is_accepted_if_its_auction_is_free(shop: Shop) -> None:
    session = late(shop)
    release(session)

    assert shop.resolve(session, "accept")["status"] == 200

    assert shop.session(session.id).released_at is None


def test_a_session_that_is_not_held_cannot_be_resolved(shop: Shop) -> None:
    session = shop.open_session()

    for decision in ("accept", "refund"):
        outcome = shop.resolve(session, decision)
        assert (outcome["status"], outcome["body"]["code"]) == (409, "not_held")


def test_what_was_refunded_in_the_dashboard_meanwhile_cannot_be_accepted(shop: Shop) -> None:
    session = late(shop)
    (row,) = shop.transactions(session)
    shop.control("refunds", payment_intent=row.stripe_payment_intent_id)
    shop.deliver()

    outcome = shop.resolve(session, "accept")

    assert (outcome["status"], outcome["body"]["code"]) == (409, "nothing_paid")
    assert shop.resolve(session, "refund")["status"] == 200
    assert len(shop.ledger()["refunds"]) == 1


def test_what_was_given_back_before_the_rest_was_accepted_gets_its_credit_note(shop: Shop) -> None:
    session = late(shop)
    (row,) = shop.transactions(session)
    shop.control("refunds", payment_intent=row.stripe_payment_intent_id, amount=500)
    shop.deliver()

    shop.resolve(session, "accept")

    assert sorted((each.kind, each.total_minor) for each in shop.rows(Receipt)) == [
        ("credit_note", 500),
        ("receipt", 27550),
    ]


def test_resolving_twice_under_one_key_resolves_once(shop: Shop) -> None:
    session = late(shop)

    first, second = shop.resolve(session, "refund", "key"), shop.resolve(session, "refund", "key")

    assert first == second
    assert len(shop.ledger()["refunds"]) == 1


def test_a_session_that_nobody_knows_is_not_found(shop: Shop) -> None:
    outcome = shop.command(
        "payment.resolve", session_id="00000000-0000-4000-8000-000000000000", reason="?", decision="accept"
    )

    assert outcome["status"] == 404
