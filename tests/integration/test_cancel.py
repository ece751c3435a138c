"""Calling a sale off: Stripe is asked first, money that came first wins, and nobody is told two things."""

import json
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Message

from paywindow import clock, ids, messages
from paywindow.actors import stop
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeUnavailable
from paywindow.models import database as db
from paywindow.models import moves, operations
from paywindow.models.moves import Cause
from paywindow.models.tables import Operation, PaymentSession
from paywindow.states import Event

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

EXPIRE = {"method": "POST", "path_suffix": "/expire"}


def cancel_message(session_id: Any, key: str = "cancel-1") -> Message[Any]:
    request = {"session_id": str(session_id), "reason": "unsold after all"}
    operation = ids.operation_id("shop", key)
    return messages.command("checkout.cancel", operation, "shop", ids.fingerprint("checkout.cancel", request), request)


def outcome_of(shop: Shop, message: Message[Any]) -> dict[str, Any]:
    return shop.outcome(uuid.UUID(message.kwargs["operation_id"]))


def test_a_canceled_session_cannot_be_paid_and_its_auction_is_free(shop: Shop) -> None:
    session = shop.open_session()

    outcome = shop.cancel(session)

    after = shop.session(session.id)
    (page,) = shop.ledger()["sessions"]
    assert (outcome["status"], outcome["body"]["paymentSession"]["status"]) == (200, "canceled")
    assert (after.status, page["status"]) == ("canceled", "expired")
    assert after.released_at is not None
    assert after.canceled_at is not None
    assert shop.notifications(after) == ["payment.canceled", "auction.released"]
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None
    (*_, row) = shop.transitions(session)
    assert (row.who, row.why) == ("service:shop", "unsold after all")
    assert shop.create(shop.request(auction_id=str(session.auction_id)))["status"] == 201


def test_a_session_whose_card_was_declined_can_be_canceled(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")
    shop.deliver()

    assert shop.cancel(session)["status"] == 200
    assert shop.ledger()["sessions"][0]["status"] == "expired"


def test_a_canceled_session_can_be_canceled_again(shop: Shop) -> None:
    session = shop.open_session()
    shop.cancel(session)
    version = shop.session(session.id).version

    assert shop.cancel(session)["status"] == 200
    assert shop.session(session.id).version == version


def test_a_repeated_command_is_answered_with_its_first_outcome(shop: Shop) -> None:
    session = shop.open_session()
    first = shop.cancel(session, key="cancel-1")

    assert shop.cancel(session, key="cancel-1") == first


def test_a_paid_session_cannot_be_canceled(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()

    outcome = shop.cancel(session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "already_paid")
    assert shop.session(session.id).status == "completed"


def test_a_payment_that_only_stripe_knows_of_is_settled_and_the_cancel_refused(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)

    outcome = shop.cancel(session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "already_paid")
    assert shop.session(session.id).status == "completed"
    (row,) = shop.transactions(session)
    assert row.settled_at is not None
    shop.deliver()
    assert len(shop.transactions(session)) == 1


def test_a_payment_on_its_way_cannot_be_canceled(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")
    known, unknown = shop.open_session(), shop.open_session()
    for session in (known, unknown):
        shop.control(f"checkout/{shop.checkout_id(session)}/pay", method="us_bank_account")
        if session is known:
            shop.deliver()

    for session in (known, unknown):
        outcome = shop.cancel(session)
        assert (outcome["status"], outcome["body"]["code"]) == (409, "payment_processing")
        assert shop.session(session.id).status == "processing"


def test_an_expired_session_cannot_be_canceled(shop: Shop) -> None:
    session = shop.open_session()
    shop.pass_time(hours=24, minutes=1)
    shop.sweep()

    outcome = shop.cancel(session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_expired")


def test_an_unknown_session_cannot_be_canceled(shop: Shop) -> None:
    message = cancel_message(uuid.uuid4())

    shop.run(message)
    shop.work()

    assert outcome_of(shop, message)["body"]["code"] == "not_found"


def test_a_key_used_for_a_create_does_not_cancel(shop: Shop) -> None:
    session = shop.open_session()
    first = shop.create(shop.request(), key="order-1")

    shop.run(cancel_message(session.id, key="order-1"))

    assert shop.session(session.id).status == "pending"
    assert shop.outcome(ids.operation_id("shop", "order-1")) == first


def test_while_stripe_is_away_nothing_is_canceled_and_the_same_command_goes_on_later(shop: Shop) -> None:
    session = shop.open_session()
    shop.fault("500", times=2, **EXPIRE)
    message = cancel_message(session.id)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    assert shop.session(session.id).status == "pending"

    shop.run(message)
    shop.work()

    assert outcome_of(shop, message)["status"] == 200
    assert shop.ledger()["sessions"][0]["status"] == "expired"


def test_a_lost_answer_to_the_closing_is_found_out(shop: Shop) -> None:
    session = shop.open_session()
    shop.fault("timeout_after_work", times=1, **EXPIRE)

    assert shop.cancel(session)["status"] == 200


def test_stripes_own_word_of_a_page_that_a_cancel_closes_does_not_expire_the_session(shop: Shop) -> None:
    session = shop.open_session()
    message = cancel_message(session.id)
    shop.fault("hold_reply", **EXPIRE)
    canceling = threading.Thread(target=shop.run, args=(message,))
    canceling.start()
    shop.await_hold()
    shop.deliver()

    shop.control("holds/release")
    canceling.join()
    shop.pass_time(minutes=1)
    shop.sweep()

    assert outcome_of(shop, message)["status"] == 200
    assert shop.session(session.id).status == "canceled"
    assert shop.notifications(session) == ["payment.canceled", "auction.released"]


def test_a_cancel_whose_worker_died_after_closing_the_page_goes_on_when_it_is_sent_again(shop: Shop) -> None:
    session = shop.open_session()
    message = cancel_message(session.id)
    begin(session.id, message)
    expire_at_stripe(shop, session)
    shop.deliver()
    for _ in range(5):
        shop.pass_time(seconds=30)
        shop.sweep()

    shop.run(message)
    shop.work()

    assert outcome_of(shop, message)["status"] == 200
    assert shop.session(session.id).status == "canceled"
    assert "open" not in [page["status"] for page in shop.ledger()["sessions"]]


def expire_at_stripe(shop: Shop, session: PaymentSession) -> None:
    runtime().gateway.expire_checkout(shop.checkout_id(session))


def begin(session_id: Any, message: Message[Any]) -> None:
    """What a cancel commits before it asks Stripe, as a worker that dies then leaves it."""
    arguments = message.kwargs
    with db.transaction():
        session = moves.lock_session(session_id)
        row = operations.begin(
            uuid.UUID(arguments["operation_id"]),
            "checkout.cancel",
            "shop",
            arguments["fingerprint"],
            arguments["request"],
            clock.now(),
        )
        stop._page_to_close(row, session, Event.CANCEL, Cause("service:shop", clock.now()))


def test_a_page_that_opens_while_a_cancel_is_under_way_does_not_answer_the_cancel(shop: Shop) -> None:
    opening_message = shop.create_message(shop.request())
    shop.fault("hold_reply", method="POST", path_prefix="/v1/checkout/sessions")
    opening = threading.Thread(target=shop.run, args=(opening_message,))
    opening.start()
    shop.await_hold()
    (session,) = shop.rows(PaymentSession)
    message = cancel_message(session.id)
    begin(session.id, message)
    shop.control("holds/release")
    opening.join()
    shop.work()

    shop.run(message)
    shop.work()

    assert outcome_of(shop, opening_message)["status"] == 201
    assert outcome_of(shop, message)["body"]["paymentSession"]["status"] == "canceled"
    assert shop.session(session.id).status == "canceled"
    assert shop.ledger()["sessions"][0]["status"] == "expired"


def test_money_and_cancel_at_the_same_moment_leave_one_of_the_two(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="20")
    sessions = [shop.open_session() for _ in range(4)]
    for session in sessions[:2]:
        shop.pay(session)
    cancels = [cancel_message(session.id, key=str(session.id)) for session in sessions]
    for session in sessions[2:]:
        expire_at_stripe(shop, session)
    events = [
        messages.receive_event(json.dumps(event), clock.now())
        for event in shop.events()
        if event["type"] in ("checkout.session.completed", "checkout.session.expired", "payment_intent.succeeded")
    ]

    shop.together(*cancels, *events)
    shop.work()
    shop.pass_time(minutes=2)
    shop.sweep()

    states = [shop.session(session.id).status for session in sessions]
    codes = [outcome_of(shop, message)["status"] for message in cancels]
    assert states[:2] == ["completed", "completed"]
    assert codes[:2] == [409, 409]
    assert {*zip(states[2:], codes[2:], strict=True)} == {("canceled", 200)}
    assert not [row for row in shop.rows(Operation) if row.outcome is None]


def test_money_that_comes_after_the_deadline_while_a_cancel_is_under_way_is_late(shop: Shop) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=4, seconds=30)
    message = cancel_message(session.id)
    shop.fault("hold_request", **EXPIRE)
    canceling = threading.Thread(target=shop.run, args=(message,))
    canceling.start()
    shop.await_hold()
    shop.pass_time(minutes=1)
    shop.pay(session)

    shop.control("holds/release")
    canceling.join()
    shop.work()

    after = shop.session(session.id)
    assert (after.status, after.hold_reason) == ("canceled", None)
    assert [(row.settled_at, row.status) for row in shop.transactions(session)] == [(None, "refunded")]
    assert outcome_of(shop, message)["status"] == 200


def test_a_cancel_takes_the_sessions_lock_before_any_row_of_it(shop: Shop) -> None:
    """Otherwise it would wait in a circle with Stripe's word of the same page, which holds the session and wants the attempt."""
    session = shop.open_session()
    message = cancel_message(session.id)
    shop.fault("hold_reply", **EXPIRE)
    canceling = threading.Thread(target=shop.run, args=(message,))
    canceling.start()
    shop.await_hold()

    with db.transaction():
        db.database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (session.auction_id.int >> 65,))
        db.database.execute_sql("SELECT * FROM payment_sessions WHERE id = %s FOR UPDATE", (session.id,))
        shop.control("holds/release")
        while not db.database.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            threading.Event().wait(0.01)
        # The cancel waits for the session, and holds nothing of it: its attempt can still be locked at once.
        db.database.execute_sql(
            "SELECT * FROM checkout_attempts WHERE session_id = %s FOR UPDATE NOWAIT", (session.id,)
        )
    canceling.join()
    shop.work()

    assert outcome_of(shop, message)["status"] == 200
