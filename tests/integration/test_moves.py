"""Moves on real rows: what each event writes in each status, who wins of two, and what the database itself refuses."""

import itertools
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import peewee
import psycopg2
import pytest

from paywindow.embedded import EmbeddedPostgres
from paywindow.errors import Problem
from paywindow.models import database as db
from paywindow.models import moves
from paywindow.models.database import transaction
from paywindow.models.moves import Cause, Stale
from paywindow.models.tables import Notification, Outbox, PaymentSession, Transition
from paywindow.states import Event

AT = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
COLUMNS = ("pending", "processing", "failed", "completed", "expired", "canceled")
STAY, PAST, HOLD, REFUND = "stay", "past", "hold", "refund"
TO_EXPIRED = ("expired", "payment.expired", "auction.released")
TO_CANCELED = ("canceled", "payment.canceled", "auction.released")
TO_COMPLETED = ("completed", "payment.completed")
TO_FAILED = ("failed", "payment.failed")
REFUSED = ("failed", "payment.failed", "auction.released")
TO_PENDING = ("pending",)
TO_PROCESSING = ("processing", "payment.processing")
FREE = ("completed", "auction.released")

# What each event does to a row in each status: a move is the new status and what the marketplace is told.
EXPECTED: dict[str, tuple[Any, ...]] = {
    "page_opened": (STAY, PAST, STAY, PAST, PAST, PAST),
    "page_refused": (REFUSED, PAST, REFUSED, PAST, PAST, PAST),
    "submitted": (TO_PROCESSING, PAST, TO_PROCESSING, PAST, TO_PROCESSING, STAY),
    "paid": (TO_COMPLETED, TO_COMPLETED, TO_COMPLETED, PAST, TO_COMPLETED, REFUND),
    "paid_late": (REFUND, TO_EXPIRED, REFUND, REFUND, REFUND, REFUND),
    "paid_late_held": (HOLD,) * 6,
    "paid_twice": (REFUND,) * 6,
    "paid_mismatched": (HOLD,) * 6,
    "paid_canceled": (REFUND,) * 6,
    "paid_while_taken": (STAY,) * 6,
    "superseded": (TO_EXPIRED, TO_EXPIRED, TO_EXPIRED, PAST, PAST, PAST),
    "refunded": (PAST, PAST, PAST, FREE, PAST, PAST),
    "refund_failed": (HOLD,) * 6,
    "refund_blocked": (HOLD,) * 6,
    "resolve_accept": ("not_held",) * 6,
    "resolve_refund": ("not_held",) * 6,
    "declined": (TO_FAILED, STAY, STAY, STAY, STAY, STAY),
    "confirmation_failed": (TO_FAILED, TO_FAILED, PAST, PAST, PAST, PAST),
    "window_closed": (TO_EXPIRED, PAST, TO_EXPIRED, PAST, PAST, PAST),
    "page_rolled": (STAY, PAST, PAST, PAST, PAST, PAST),
    "retried": ("not_failed", "payment_processing", TO_PENDING, "already_paid", "session_expired", "session_canceled"),
    "retries_used_up": (PAST, PAST, STAY, PAST, PAST, PAST),
    "grant_retry": ("not_failed", "payment_processing", STAY, "already_paid", "session_expired", "session_canceled"),
    "cancel": (TO_CANCELED, "payment_processing", TO_CANCELED, "already_paid", "session_expired", PAST),
    "expire": (TO_EXPIRED, "payment_processing", TO_EXPIRED, "already_paid", PAST, "session_canceled"),
    "extend": (STAY, STAY, STAY, "already_paid", "session_expired", "session_canceled"),
    "reopen": ("session_open", "payment_processing", "session_open", "already_paid", TO_PENDING, "session_canceled"),
}
EXPECTED_HELD: dict[str, Any] = {
    "page_opened": PAST,
    "page_refused": PAST,
    "submitted": STAY,
    "paid": HOLD,
    "paid_late": HOLD,
    "paid_late_held": HOLD,
    "paid_twice": REFUND,
    "paid_mismatched": HOLD,
    "paid_canceled": REFUND,
    "paid_while_taken": HOLD,
    "superseded": {**dict.fromkeys(COLUMNS, PAST), **dict.fromkeys(COLUMNS[:3], TO_EXPIRED)},
    "refunded": {**dict.fromkeys(COLUMNS, ("", "auction.released")), "expired": STAY, "canceled": STAY},
    "refund_failed": HOLD,
    "refund_blocked": HOLD,
    "resolve_accept": {**dict.fromkeys(COLUMNS, TO_COMPLETED), "completed": STAY, "canceled": "session_canceled"},
    "resolve_refund": {**dict.fromkeys(COLUMNS, STAY), "processing": TO_FAILED},
    "declined": STAY,
    "confirmation_failed": STAY,
    "window_closed": PAST,
    "page_rolled": PAST,
    "retried": "session_held",
    "retries_used_up": PAST,
    "grant_retry": "session_held",
    "cancel": "session_held",
    "expire": "session_held",
    "extend": "session_held",
    "reopen": "session_held",
}


@pytest.fixture(scope="module")
def sent() -> list[Any]:
    """The messages that committed transactions sent."""
    return []


@pytest.fixture(scope="module", autouse=True)
def books(postgres: EmbeddedPostgres, _migrated_template: str, sent: list[Any]) -> Iterator[str]:
    """One database for the module: each test uses sessions of its own."""
    postgres.start()
    url = postgres.create_database("moves", template=_migrated_template)
    db.connect(url, 10, lambda message, delay=None: sent.append(message))
    yield url
    db.disconnect()
    postgres.drop_database("moves")


def new_session(status: str = "pending", *, held: bool = False) -> PaymentSession:
    with transaction():
        session: PaymentSession = PaymentSession.create(
            id=uuid.uuid4(),
            auction_id=uuid.uuid4(),
            buyer_id=uuid.uuid4(),
            amount_minor=27550,
            currency="USD",
            late_policy="refund",
            window_minutes=1440,
            livemode=False,
            status=status,
            attempt_number=1,
            expires_at=AT + timedelta(days=1),
            due_at=AT + timedelta(days=1),
            hold_reason="paid_late" if held else None,
            hold_since=AT if held else None,
            released_at=AT if status in ("expired", "canceled") else None,
            completed_at=AT if status == "completed" else None,
            canceled_at=AT if status == "canceled" else None,
            created_at=AT,
            updated_at=AT,
        )
    return session


def load(session: PaymentSession) -> PaymentSession:
    with transaction():
        found: PaymentSession = PaymentSession.get_by_id(session.id)
    return found


def written(session: PaymentSession) -> tuple[list[Transition], list[str], list[str]]:
    """The session's transitions, the types of its notifications, and the actors in its outbox."""
    with transaction():
        transitions = list(Transition.select().where(Transition.session == session.id).order_by(Transition.id))
        told = [
            row.type
            for row in Notification.select()
            .where(Notification.session == session.id)
            .order_by(Notification.type.desc())
        ]
        ids = [
            str(session.id),
            *(str(row.id) for row in Notification.select().where(Notification.session == session.id)),
        ]
        outbox = [row.actor for row in Outbox.select().order_by(Outbox.id) if any(i in row.arguments for i in ids)]
    return transitions, told, outbox


def happen(session: PaymentSession, event: str, **changes: Any) -> None:
    accepts = event == "resolve_accept" and session.status not in ("completed", "canceled")
    if accepts or (event == "paid" and session.status != "canceled" and session.hold_reason is None):
        changes |= {"completed_at": AT, "released_at": None}
    cause = Cause("service:shop", AT + timedelta(minutes=1), why="because", stripe_event_id="evt_1")
    with transaction():
        moves.apply(session, Event(event), cause, **changes)


def test_the_expectations_cover_every_event() -> None:
    assert set(EXPECTED) == set(EXPECTED_HELD) == {event.value for event in Event}


@pytest.mark.parametrize(("event", "status"), list(itertools.product(EXPECTED, COLUMNS)))
def test_an_event_writes_what_its_cell_says(event: str, status: str) -> None:
    check(event, status, EXPECTED[event][COLUMNS.index(status)], held=False)


@pytest.mark.parametrize(("event", "status"), list(itertools.product(EXPECTED, COLUMNS)))
def test_an_event_of_a_held_session_writes_what_its_cell_says(event: str, status: str) -> None:
    expected = EXPECTED_HELD[event]
    expected = expected[status] if isinstance(expected, dict) else expected
    check(event, status, (status, *expected[1:]) if expected[0] == "" else expected, held=True)


def check(event: str, status: str, expected: Any, *, held: bool) -> None:
    """Let the event happen to a row, and look at everything that it may have written."""
    session = new_session(status, held=held)
    before = load(session)

    if isinstance(expected, str) and expected not in (STAY, PAST, HOLD, REFUND):
        with pytest.raises(Problem) as refused:
            happen(session, event)
        assert refused.value.code == expected
        expected = PAST
    else:
        happen(session, event)

    after = load(session)
    transitions, told, outbox = written(session)
    if expected == PAST:
        assert after.__data__ == before.__data__
        assert (transitions, told, outbox) == ([], [], [])
        return
    to, *announced = (
        expected if isinstance(expected, tuple) else (status, *(["payment.held"] if expected == HOLD else []))
    )
    hold = before.hold_reason or (event if expected == HOLD else None)
    (row,) = transitions
    assert (after.status, after.version, after.hold_reason) == (to, 2, hold)
    assert (after.hold_since is None) == (hold is None)
    assert after.updated_at == AT + timedelta(minutes=1)
    if "auction.released" in announced:
        assert after.released_at == AT + timedelta(minutes=1)
    assert (row.event, row.from_status, row.to_status, row.version, row.hold_reason) == (event, status, to, 2, hold)
    assert (row.who, row.why, row.stripe_event_id, row.attempt_number) == ("service:shop", "because", "evt_1", 1)
    assert told == sorted(announced, reverse=True)
    assert outbox == ["notifications.deliver"] * len(announced) + ["publish.session"]


def test_a_settled_expired_session_takes_its_auction_back() -> None:
    session = new_session("expired")

    happen(session, "paid")

    assert load(session).released_at is None


def test_a_second_hold_keeps_the_first_reason_and_its_moment() -> None:
    session = new_session("pending")

    happen(session, "paid_late_held")
    happen(session, "paid_mismatched")

    found = load(session)
    assert (found.hold_reason, found.version) == ("paid_late_held", 3)


def test_of_two_moves_from_the_same_version_one_wins_and_the_other_is_stale() -> None:
    session = new_session("pending")
    one, other = load(session), load(session)

    happen(one, "declined")
    with pytest.raises(Stale):
        happen(other, "cancel", canceled_at=AT)

    assert load(session).status == "failed"
    assert [row.event for row in written(session)[0]] == ["declined"]


def test_a_move_of_an_attempt_that_was_replaced_is_stale() -> None:
    session = new_session("pending")
    old = load(session)
    with transaction():
        PaymentSession.update(attempt_number=2).where(PaymentSession.id == session.id).execute()

    with pytest.raises(Stale):
        happen(old, "declined")


def test_of_many_moves_at_once_exactly_one_wins_and_the_losers_change_nothing() -> None:
    session = new_session("pending")
    start, results = threading.Barrier(8), []

    def race(event: str) -> None:
        mine = load(session)
        start.wait()
        try:
            happen(mine, event)
        except Stale:
            results.append("stale")
        else:
            results.append(event)

    threads = [threading.Thread(target=race, args=(event,)) for event in ["declined", "window_closed"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = (result for result in results if result != "stale")
    assert len(results) == 8
    assert [row.event for row in written(session)[0]] == [winner]


def test_moves_under_the_sessions_lock_wait_for_each_other_and_see_what_the_first_did() -> None:
    session = new_session("pending")
    start, answers = threading.Barrier(6), []

    def move(event: str) -> None:
        start.wait()
        with transaction():
            found = moves.lock_session(session.id)
            assert found is not None
            answers.append(moves.apply(found, Event(event), Cause("stripe", AT)).kind)

    threads = [threading.Thread(target=move, args=("window_closed",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == ["move", *["past"] * 5]


def test_the_session_in_hand_is_brought_up_to_date() -> None:
    session = new_session("pending")

    happen(session, "declined", failure_code="generic_decline", failure_message="no")

    assert session.__data__ == load(session).__data__


def test_the_lock_of_a_dead_worker_is_free(books: str) -> None:
    session = new_session("pending")
    dying = psycopg2.connect(books)
    with dying.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (session.auction_id.int >> 65,))

    with transaction():
        db.database.execute_sql("SELECT pg_terminate_backend(%s)", (dying.info.backend_pid,))

    with transaction():
        assert moves.lock_session(session.id) is not None
    with pytest.raises(psycopg2.OperationalError):
        dying.cursor().execute("SELECT 1")


def test_an_unknown_session_is_none() -> None:
    with transaction():
        assert moves.lock_session(uuid.uuid4()) is None


def test_a_change_that_is_no_move_still_makes_a_new_version() -> None:
    session = new_session("completed")

    with transaction():
        moves.touch(session.id, AT)

    assert load(session).version == 2
    assert written(session)[2] == ["publish.session"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "paid"),
        ("status", ""),
        ("amount_minor", 0),
        ("amount_minor", -1),
        ("currency", "usd"),
        ("late_policy", "forget"),
        ("window_minutes", 0),
        ("platform_fee_minor", 27551),
        ("hold_reason", "paid_late"),
        ("completed_at", AT),
    ],
)
def test_the_database_refuses_what_no_session_may_be(column: str, value: Any) -> None:
    session = new_session()

    with pytest.raises(peewee.IntegrityError), transaction():
        PaymentSession.update(**{column: value}).where(PaymentSession.id == session.id).execute()


def test_the_database_refuses_a_second_open_session_of_an_auction() -> None:
    session, other = new_session(), new_session()

    with pytest.raises(peewee.IntegrityError, match="one_unreleased_session_per_auction"), transaction():
        PaymentSession.update(auction_id=session.auction_id).where(PaymentSession.id == other.id).execute()


@pytest.mark.parametrize("statement", ["UPDATE transitions SET who = 'nobody'", "DELETE FROM transitions"])
def test_the_audit_trail_cannot_be_changed(statement: str) -> None:
    session = new_session()
    happen(session, "declined")

    with pytest.raises(peewee.DatabaseError, match="transitions is append-only"), transaction():
        db.database.execute_sql(statement)
    assert [row.who for row in written(session)[0]] == ["service:shop"]


def test_transactions_do_not_nest() -> None:
    with pytest.raises(RuntimeError, match="already open"), transaction(), transaction():
        pass


def test_the_follow_ups_of_a_move_are_sent_after_its_commit(sent: list[Any]) -> None:
    session = new_session()
    sent.clear()

    with transaction():
        moves.apply(session, Event.DECLINED, Cause("stripe", AT))
        assert sent == []

    assert [message.actor_name for message in sent] == ["notifications.deliver", "publish.session"]


def test_a_move_that_is_rolled_back_leaves_and_sends_nothing(sent: list[Any]) -> None:
    session = new_session()
    sent.clear()

    with pytest.raises(ZeroDivisionError), transaction():
        moves.apply(session, Event.DECLINED, Cause("stripe", AT))
        _ = 1 / 0

    assert (load(session).status, written(session), sent) == ("pending", ([], [], []), [])
