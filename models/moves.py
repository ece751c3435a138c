"""Guarded moves: the only code that changes a session's status.

A move is one ``UPDATE ... WHERE id, status, version, attempt_number`` and one row in ``transitions``, together with what
follows from it (the new snapshot, the notification), all in the caller's transaction.
"""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from paywindow import logs, metrics
from paywindow.errors import Problem, Transient
from paywindow.models import notifications, outbox
from paywindow.models.database import after_commit, database
from paywindow.models.tables import PaymentSession, Transition
from paywindow.states import Answer, Event, Kind, Status, answer, releases

logger = logging.getLogger(__name__)

#: Takes the lock of a row's auction until the transaction ends: an auction is 63 bits of its id.
_AUCTIONS_LOCK = "pg_advisory_xact_lock((('x' || left(replace(auction_id::text, '-', ''), 16))::bit(64) >> 1)::bigint)"


class Stale(Transient):
    """The row changed between reading and moving it; run again with what it says now."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who moves a session and why: ``service:<client>``, ``stripe``, ``buyer`` or ``system:<actor>``."""

    who: str
    at: datetime
    why: str | None = None
    stripe_event_id: str | None = None


def lock_auction(auction_id: uuid.UUID) -> None:
    """Serialise create, reopen and settle of one auction until the transaction ends.

    Always taken before the session's row lock, so that two transactions cannot wait for each other.
    """
    database.execute_later(f"SELECT {_AUCTIONS_LOCK} FROM (SELECT %s::uuid AS auction_id) AS it", (str(auction_id),))  # noqa: S608


def lock_session(session_id: uuid.UUID) -> PaymentSession | None:
    """Read a session with its auction's lock and its own row lock held, or ``None`` when there is none."""
    logs.bind(session_id=session_id)
    database.execute_later(f"SELECT {_AUCTIONS_LOCK} FROM payment_sessions WHERE id = %s", (str(session_id),))  # noqa: S608
    return PaymentSession.read_one("WHERE id = %s FOR UPDATE", session_id)


def unreleased_of(auction_id: uuid.UUID) -> PaymentSession | None:
    """The auction's open session, if it has one (money rule 1: at most one)."""
    return PaymentSession.read_one("WHERE auction_id = %s AND released_at IS NULL", auction_id)


def check(session: PaymentSession, event: Event) -> Answer:
    """The table's answer without applying it. Raises :class:`Problem` when it refuses."""
    found = answer(event, Status(session.status), held=session.hold_reason is not None)
    if found.kind is Kind.REFUSE and found.code:
        raise Problem(found.code, f"The payment session is {session.status}.", sessionId=str(session.id))
    return found


def apply(session: PaymentSession, event: Event, cause: Cause, **changes: Any) -> Answer:
    """Let ``event`` happen to ``session`` and return the table's answer; ``session`` is brought up to date.

    ``changes`` are further columns of the same UPDATE; a *past* event writes nothing. Raises :class:`Problem` when the table
    refuses and :class:`Stale` when the row is not as ``session`` says.
    """
    found = check(session, event)
    if found.kind is Kind.PAST:
        return found
    if found.kind is Kind.HOLD:
        changes |= {} if session.hold_reason else {"hold_reason": event.value, "hold_since": cause.at}
    released = releases(event, found) and session.released_at is None
    if released:
        changes["released_at"] = cause.at
    before, to = session.status, found.status or Status(session.status)
    _update(session, to, cause.at, changes)
    Transition.create(
        session=session.id,
        version=session.version,
        attempt_number=session.attempt_number,
        event=event.value,
        from_status=before,
        to_status=session.status,
        hold_reason=session.hold_reason,
        who=cause.who,
        why=cause.why,
        stripe_event_id=cause.stripe_event_id,
        at=cause.at,
    )
    notifications.announce_move(session, found, cause.at, released=released)
    outbox.follow_up("publish.session", cause.at, session_id=str(session.id))
    about = {"session_id": str(session.id), "by": cause.who}
    after_commit(partial(logger.info, "%s: %s -> %s", event.value, before, session.status, extra=about))
    if found.status is not None:
        after_commit(metrics.SESSION_MOVES.labels(event.value, found.status.value).inc)
    return found


def touch(session_id: uuid.UUID, at: datetime) -> None:
    """Something about the session that the public can see changed, though not its state: a receipt, a fee."""
    database.execute_later(
        "UPDATE payment_sessions SET version = version + 1, updated_at = %s WHERE id = %s", (at, str(session_id))
    )
    outbox.follow_up("publish.session", at, session_id=str(session_id))


def _update(session: PaymentSession, to: Status, at: datetime, changes: dict[str, Any]) -> None:
    rows = list(
        PaymentSession.update(status=to.value, version=PaymentSession.version + 1, updated_at=at, **changes)
        .where(
            PaymentSession.id == session.id,
            PaymentSession.status == session.status,
            PaymentSession.version == session.version,
            PaymentSession.attempt_number == session.attempt_number,
        )
        .returning(PaymentSession)
        .execute()
    )
    if not rows:
        raise Stale(f"payment session {session.id} is no longer at version {session.version}")
    session.__data__.update(rows[0].__data__)
