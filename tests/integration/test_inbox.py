"""Stripe's events: kept once, handled in any order, never lost, and never believed beyond what is ours."""

import itertools
import json
import random
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, messages
from paywindow.actors.runtime import runtime
from paywindow.errors import Permanent, StripeUnavailable
from paywindow.models import database as db
from paywindow.models import inbox
from paywindow.models.tables import CheckoutAttempt, Outbox, PaymentSession, Receipt, StripeEvent, Transaction

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

CARD_SUCCESS = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")
TIMES = ("created_at", "updated_at", "settled_at", "processed_at", "closed_at", "completed_at", "due_at")


def paid_events(shop: Shop) -> tuple[PaymentSession, list[dict[str, Any]]]:
    """A session paid by card, and Stripe's events of that, in its own order; none is delivered."""
    session = shop.open_session()
    shop.pay(session)
    return session, [event for event in shop.events() if event["type"] in CARD_SUCCESS]


def again(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Another Event object with the same content."""
    return {**event, "id": f"evt_{uuid.uuid4().hex}", **changes}


def row_of(shop: Shop, event: dict[str, Any]) -> StripeEvent:
    """The event's row in the inbox."""
    (row,) = shop.rows(StripeEvent, StripeEvent.id == event["id"])
    return row


def outcome_in_books(shop: Shop, session: PaymentSession) -> dict[str, Any]:
    """What the payment left behind, without the moments at which it was written down."""
    (attempt,) = shop.rows(CheckoutAttempt, CheckoutAttempt.session == session.id)
    (transaction,) = shop.transactions(session)
    rows = {"session": shop.session(session.id), "attempt": attempt, "transaction": transaction}
    facts = {name: {key: str(row.__data__[key]) for key in row.__data__} for name, row in rows.items()}
    for row in facts.values():
        for key in (*TIMES, "version", "id", "session", "attempt"):
            row.pop(key, None)
    return {
        **facts,
        "told": sorted(shop.notifications(session)),
        "receipts": len(shop.rows(Receipt, Receipt.session == session.id)),
        "moves": [(row.event, row.to_status) for row in shop.transitions(session)],
        "unhandled": [row.type for row in shop.rows(StripeEvent) if row.handled_at is None],
    }


def test_a_completed_page_settles_its_session(shop: Shop) -> None:
    session, _ = paid_events(shop)

    shop.deliver()

    after = shop.session(session.id)
    (row,) = shop.transactions(session)
    assert after.status == "completed"
    assert after.stripe_payment_intent_id == row.stripe_payment_intent_id
    assert (row.status, row.amount_minor, row.currency) == ("succeeded", 27550, "USD")
    assert (row.card_brand, row.card_last4) == ("visa", "4242")
    assert row.stripe_charge_id == shop.ledger()["charges"][0]["id"]
    assert set(shop.verdicts()) == set(CARD_SUCCESS)
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


def test_the_order_of_the_events_of_a_payment_does_not_matter(shop: Shop) -> None:
    shop.deaf_to = {"receipts.render", "publish.session", "notifications.deliver", "analytics.track"}
    found = []
    for order in itertools.permutations(range(len(CARD_SUCCESS))):
        session, events = paid_events(shop)
        mine = events[-len(CARD_SUCCESS) :]
        for place in order:
            shop.deliver_event(mine[place], times=2)
            shop.work()
        found.append(outcome_in_books(shop, session))
        for row in found[-1].values():
            if isinstance(row, dict):
                for key in (
                    "auction_id",
                    "buyer_id",
                    "expires_at",
                    "page_expires_at",
                    "first_called_at",
                    "figures_due_at",
                ):
                    row.pop(key, None)
                for key in [key for key in row if key.startswith("stripe_") or key in ("url", "params")]:
                    row[key] = row[key] != "None"
                row.pop("idempotency_key", None)
    assert len(found) == 24
    assert [one for one in found if one != found[0]] == []
    assert found[0]["session"]["status"] == "completed"
    assert found[0]["transaction"]["card_last4"] == "4242"


@pytest.mark.parametrize("seed", range(3))
def test_many_payments_whose_events_come_shuffled_and_at_once_are_each_settled_once(
    make_shop: Callable[..., Shop], seed: int
) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="30")
    shop.deaf_to = {"receipts.render"}
    sessions = [shop.open_session() for _ in range(6)]
    for session in sessions:
        shop.pay(session, card="4000000000000002")
        shop.pay(session)
    arrivals = [messages.receive_event(json.dumps(event), clock.now()) for event in shop.events()] * 2
    random.Random(seed).shuffle(arrivals)

    for batch in range(0, len(arrivals), 24):
        shop.together(*arrivals[batch : batch + 24])
        shop.work()
    shop.pass_time(minutes=1)
    shop.sweep()

    for session in sessions:
        assert shop.session(session.id).status == "completed"
        assert sorted(row.status for row in shop.transactions(session)) == ["failed", "succeeded"]
        assert shop.notifications(session).count("payment.completed") == 1
    rows = shop.rows(StripeEvent)
    assert [row.last_error for row in rows if row.handled_at is None] == []
    assert [row.type for row in rows if row.tries] == []


def test_fifty_copies_of_one_webhook_settle_once(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="50")
    session, events = paid_events(shop)

    shop.together(*[messages.receive_event(json.dumps(events[-1]), clock.now())] * 50)
    shop.work()

    assert shop.session(session.id).status == "completed"
    assert len(shop.transactions(session)) == len(shop.rows(StripeEvent)) == 1
    assert len(shop.rows(Receipt)) == 1
    assert shop.notifications(session) == ["payment.completed", "receipt.issued"]


def test_two_event_objects_for_one_fact_settle_once(shop: Shop) -> None:
    session, events = paid_events(shop)
    shop.deliver()
    version = shop.session(session.id).version

    for event in events:
        shop.deliver_event(again(event))
    shop.work()

    assert shop.session(session.id).version == version
    assert len(shop.transactions(session)) == 1


def broken(on: bool) -> None:
    """Make the database refuse every new transaction row, or stop that."""
    with db.transaction():
        if on:
            db.database.execute_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
            )
            db.database.execute_sql(
                "CREATE TRIGGER broken BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        else:
            db.database.execute_sql("DROP TRIGGER broken ON transactions")


def test_a_failing_handler_keeps_its_event_with_the_error_and_succeeds_later(shop: Shop) -> None:
    session, events = paid_events(shop)
    broken(True)
    shop.deliver_event(events[-1])
    shop.work()
    row = row_of(shop, events[-1])
    assert (row.handled_at, row.tries) == (None, 1)
    assert "out of order" in row.last_error
    assert shop.session(session.id).status == "pending"
    assert [row.event for row in shop.transitions(session)] == ["page_opened"]

    broken(False)
    shop.pass_time(minutes=1)
    shop.sweep()

    row = row_of(shop, events[-1])
    assert (row.verdict, row.last_error, row.next_try_at) == ("applied", None, None)
    assert shop.session(session.id).status == "completed"


def test_a_redelivery_of_an_event_that_failed_handles_it(shop: Shop) -> None:
    session, events = paid_events(shop)
    broken(True)
    shop.deliver_event(events[-1])
    shop.work()
    broken(False)

    shop.deliver_event(events[-1])
    shop.work()

    assert shop.session(session.id).status == "completed"


def test_an_event_that_fails_again_and_again_is_parked_and_a_redelivery_still_handles_it(shop: Shop) -> None:
    session, events = paid_events(shop)
    broken(True)
    shop.deliver_event(events[-1])
    shop.work()
    waits = []
    while (row := row_of(shop, events[-1])).parked_at is None:
        waits.append(round((row.next_try_at - clock.now()).total_seconds()))
        shop.pass_time(hours=1)
        shop.sweep()
        assert row.tries < inbox.FAILURES_BEFORE_PARKING
    assert (row.tries, row.next_try_at) == (inbox.FAILURES_BEFORE_PARKING, None)
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560]
    shop.pass_time(hours=5)
    shop.sweep()
    assert row_of(shop, events[-1]).tries == inbox.FAILURES_BEFORE_PARKING

    broken(False)
    shop.deliver_event(events[-1])
    shop.work()

    assert row_of(shop, events[-1]).parked_at is None
    assert shop.session(session.id).status == "completed"


def test_an_event_about_a_page_that_stripe_does_not_have_is_parked_in_the_end(shop: Shop) -> None:
    session, _ = paid_events(shop)
    with db.transaction():
        CheckoutAttempt.update(stripe_checkout_id="cs_test_gone").where(CheckoutAttempt.session == session.id).execute()
    shop.tell("payment_intent.succeeded")
    event = shop.event("payment_intent.succeeded")

    for _ in range(inbox.FAILURES_BEFORE_PARKING + 2):
        shop.pass_time(hours=1)
        shop.sweep()

    row = row_of(shop, event)
    assert row.parked_at is not None
    assert "No such checkout.session" in row.last_error


def test_an_event_that_needs_stripes_word_waits_for_the_end_of_an_outage(shop: Shop) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pay(session)
    event = shop.event("checkout.session.completed")
    shop.pass_time(minutes=6)
    shop.fault("refuse_connection", times=1000)
    shop.deliver_event(event)

    shop.work()

    for _ in range(inbox.FAILURES_BEFORE_PARKING + 2):
        shop.pass_time(minutes=2)
        shop.run(messages.build("sweeps.inbox"))
        shop.work()
    row = row_of(shop, event)
    assert (row.handled_at, row.tries, row.parked_at) == (None, 0, None)
    assert row.last_error.startswith("Stripe could not be asked")
    shop.mend()
    shop.pass_time(minutes=2)
    shop.sweep()
    assert row_of(shop, event).verdict == "applied"
    assert shop.session(session.id).status == "completed"


@pytest.mark.parametrize("refusal", [StripeUnavailable("no answer"), Permanent("no such page")])
def test_a_delivery_that_stripe_does_not_answer_leaves_the_event_handled_that_another_has_handled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pay(session)
    event = shop.event("checkout.session.completed")
    shop.pass_time(minutes=6)
    gateway = runtime().gateway
    ask = gateway.retrieve_checkout

    def answer_the_other_one(checkout_id: str) -> Any:
        monkeypatch.setattr(gateway, "retrieve_checkout", ask)
        shop.run(messages.build("events.handle", event_id=event["id"]))
        raise refusal

    monkeypatch.setattr(gateway, "retrieve_checkout", answer_the_other_one)
    shop.deliver_event(event)

    shop.work()

    row = row_of(shop, event)
    assert (row.verdict, row.tries, row.last_error, row.next_try_at) == ("applied", 0, None, None)


def test_an_event_that_waits_does_not_use_up_its_tries(shop: Shop) -> None:
    session, _ = paid_events(shop)
    with db.transaction():  # as if the answer that opened the page were not recorded yet
        CheckoutAttempt.update(status="claimed", stripe_checkout_id=None, next_try_at=None).where(
            CheckoutAttempt.session == session.id
        ).execute()
    shop.tell("checkout.session.completed")

    for _ in range(inbox.FAILURES_BEFORE_PARKING + 2):
        shop.pass_time(seconds=15)
        shop.sweep()

    row = row_of(shop, shop.event("checkout.session.completed"))
    assert (row.tries, row.parked_at, row.handled_at) == (0, None, None)
    assert row.last_error == "its page is not recorded yet"


def test_a_page_that_is_paid_before_the_answer_that_opened_it_is_recorded_settles_in_the_end(shop: Shop) -> None:
    message = shop.create_message(shop.request())
    shop.fault("hold_reply", method="POST", path_prefix="/v1/checkout/sessions")
    opening = threading.Thread(target=shop.run, args=(message,))
    opening.start()
    shop.await_hold()
    (page,) = shop.ledger()["sessions"]
    shop.control(f"checkout/{page['id']}/pay")
    shop.deliver()
    assert {row.handled_at for row in shop.rows(StripeEvent) if row.type == "checkout.session.completed"} == {None}

    shop.control("holds/release")
    opening.join()
    shop.pass_time(seconds=15)
    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    assert session.status == "completed"
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


@pytest.mark.parametrize("survivor", ["payment_intent.succeeded", "charge.succeeded"])
def test_when_the_completed_event_is_lost_any_other_settles_by_stripes_own_word(shop: Shop, survivor: str) -> None:
    session, _ = paid_events(shop)
    shop.tell(survivor)
    assert shop.session(session.id).status == "pending"
    assert shop.ledger()["calls"].get("GET /v1/checkout/sessions/{session}", 0) == 0

    for _ in range(4):
        shop.pass_time(seconds=11)
        shop.sweep()

    (row,) = shop.transactions(session)
    assert shop.session(session.id).status == "completed"
    assert (row.card_last4, row.settled_at is not None) == ("4242", True)
    assert row.processed_at.timestamp() == shop.ledger()["charges"][0]["created"]


def test_waiting_events_are_woken_by_the_one_they_wait_for(shop: Shop) -> None:
    session, _ = paid_events(shop)

    shop.tell("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")

    assert shop.session(session.id).status == "completed"
    assert shop.verdicts()["charge.succeeded"] in ("applied", "nothing")
    assert shop.verdicts()["payment_intent.succeeded"] == "nothing"


def test_a_payment_does_not_wait_for_an_event_that_another_worker_has_in_hand(shop: Shop) -> None:
    session, events = paid_events(shop)
    shop.tell("payment_intent.succeeded")
    locked, finished = threading.Event(), threading.Event()

    def other_worker() -> None:
        with db.transaction():
            inbox.locked(shop.event("payment_intent.succeeded")["id"])
            locked.set()
            finished.wait()

    thread = threading.Thread(target=other_worker)
    thread.start()
    locked.wait()
    try:
        shop.deliver_event(events[-1])
        shop.work()
        assert row_of(shop, events[-1]).verdict == "applied"
    finally:
        finished.set()
        thread.join()
    assert shop.session(session.id).status == "completed"


def wait_for_a_waiter() -> None:
    """Until another connection waits for a lock that this one holds."""
    while not db.database.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
        threading.Event().wait(0.01)


@pytest.mark.parametrize(
    ("kind", "prepare"),
    [
        (
            "checkout.session.expired",
            lambda shop, session: runtime().gateway.expire_checkout(shop.checkout_id(session)),
        ),
        ("payment_intent.payment_failed", lambda shop, session: shop.pay(session, card="4000000000000002")),
    ],
)
def test_a_handler_takes_the_sessions_lock_before_any_row_of_it(
    shop: Shop, kind: str, prepare: Callable[[Shop, PaymentSession], Any]
) -> None:
    """Otherwise a cancel or a settlement, which hold the session and want the attempt, would wait in a circle."""
    session = shop.open_session()
    prepare(shop, session)
    event = shop.event(kind)
    started = threading.Event()

    def handle() -> None:
        started.set()
        shop.run(messages.receive_event(json.dumps(event), clock.now()))

    thread = threading.Thread(target=handle)
    with db.transaction():
        db.database.execute_sql("SELECT * FROM payment_sessions WHERE id = %s FOR UPDATE", (session.id,))
        db.database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (session.auction_id.int >> 65,))
        thread.start()
        wait_for_a_waiter()
        # The handler waits for the session, and holds nothing of it: its attempt can still be locked at once.
        db.database.execute_sql(
            "SELECT * FROM checkout_attempts WHERE session_id = %s FOR UPDATE NOWAIT", (session.id,)
        )
    thread.join()

    assert row_of(shop, event).verdict == "applied"


def test_the_charge_of_a_settled_payment_is_filled_in_under_the_sessions_lock(shop: Shop) -> None:
    shop.deaf_to = {"receipts.issue"}
    session, events = paid_events(shop)
    shop.tell("checkout.session.completed")
    thread = threading.Thread(target=shop.run, args=(messages.receive_event(json.dumps(events[1]), clock.now()),))
    with db.transaction():
        db.database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (session.auction_id.int >> 65,))
        db.database.execute_sql("SELECT * FROM payment_sessions WHERE id = %s FOR UPDATE", (session.id,))
        thread.start()
        wait_for_a_waiter()
        db.database.execute_sql("SELECT * FROM transactions WHERE session_id = %s FOR UPDATE NOWAIT", (session.id,))
    thread.join()

    assert row_of(shop, events[1]).verdict == "applied"
    assert shop.transactions(session)[0].card_last4 == "4242"


def test_a_sweep_at_the_same_moment_as_another_takes_no_event_twice(shop: Shop) -> None:
    for _ in range(5):
        paid_events(shop)
    for event in [event for event in shop.events() if event["type"] == "charge.succeeded"]:
        shop.deliver_event(event)
    shop.work()
    shop.pass_time(seconds=11)

    shop.together(*[messages.build("sweeps.inbox")] * 4)

    sent = [message.kwargs["event_id"] for message in shop.queue.messages if message.actor_name == "events.handle"]
    assert len(sent) == len(set(sent)) == 5


def test_the_body_is_kept_exactly_as_it_came(shop: Shop) -> None:
    _, events = paid_events(shop)
    body = json.dumps(events[-1], indent=3) + "\n"

    shop.run(messages.receive_event(body, clock.now()))

    assert row_of(shop, events[-1]).body == body


def test_an_event_whose_worker_died_is_handled_by_the_sweep(shop: Shop) -> None:
    session, events = paid_events(shop)
    with db.transaction():  # the row is there, and nothing else happened
        inbox.receive(events[-1], json.dumps(events[-1]), clock.now())

    shop.pass_time(seconds=inbox.LEASE / timedelta(seconds=1) + 1)
    shop.sweep()

    assert shop.session(session.id).status == "completed"
    assert not shop.rows(Outbox)
    assert len(shop.rows(Transaction)) == 1
