"""The payment window's two clocks: the deadline of the session, and the life of the page that is open for it."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from peewee import SQL

from paywindow.messages import build
from paywindow.models import claims
from paywindow.models.database import send_after_commit
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.states import PAYABLE

DEFAULT_MINUTES = 1440
#: How long a claimed window is left to the worker that got it before another sweep takes it up.
LEASE = timedelta(seconds=30)
_FIRST_BACKOFF = timedelta(seconds=2)
_LONGEST_BACKOFF = timedelta(minutes=2)
#: A window whose moment has come is due again at most so much later, whether it is claimed or Stripe could not be asked.
LONGEST_POSTPONEMENT = max(LEASE, _LONGEST_BACKOFF) + timedelta(seconds=5)

#: Sessions whose window a sweep looks after; the partial index payment_sessions_due has the same condition.
OPEN = (
    PaymentSession.status.in_([status.value for status in sorted(PAYABLE)]),
    PaymentSession.hold_reason.is_null(),
    PaymentSession.released_at.is_null(),
)


def next_due(expires_at: datetime, attempt: CheckoutAttempt | None, retry_at: datetime | None = None) -> datetime:
    """When a window next needs attention: at its deadline, or before that when a retry is due or when its page dies."""
    page_ends = attempt.page_expires_at if attempt is not None and attempt.status == "open" else None
    due: datetime = min(moment for moment in (expires_at, page_ends, retry_at) if moment is not None)
    return due


def count_due(until: datetime, limit: int) -> int:
    """How many windows are due by ``until``, counted up to ``limit``."""
    due: int = (
        PaymentSession.select(PaymentSession.id).where(PaymentSession.due_at <= until, *OPEN).limit(limit).count()
    )
    return due


def claim_due(at: datetime, until: datetime, limit: int) -> int:
    """Send ``window.due`` for the ``limit`` windows that are due first by ``until``, each at its moment; returns how many."""
    rows = claims.claim_due(
        PaymentSession, PaymentSession.due_at, until, limit, *OPEN, due_at=SQL("GREATEST(due_at, %s) + %s", (at, LEASE))
    )
    for row in sorted(rows, key=lambda row: (row.due_at, row.expires_at)):
        send_after_commit(build("window.due", session_id=str(row.id)), delay=row.due_at - LEASE - at)
    return len(rows)


def postpone(session: PaymentSession, at: datetime) -> None:
    """Stripe could not be asked: look again later, each time after twice the wait."""
    PaymentSession.update(
        due_tries=PaymentSession.due_tries + 1,
        due_at=SQL("%s + LEAST(%s * power(2, LEAST(due_tries, 20)), %s)", (at, _FIRST_BACKOFF, _LONGEST_BACKOFF)),
    ).where(PaymentSession.id == session.id).execute()


def attend(session: PaymentSession, due_at: datetime) -> None:
    """Look at the window again at ``due_at``; it has been attended to for now."""
    PaymentSession.update(due_tries=0, due_at=due_at).where(PaymentSession.id == session.id).execute()


def open_deadlines(after: uuid.UUID, limit: int) -> list[tuple[uuid.UUID, datetime]]:
    """Ids and deadlines of open windows with an id greater than ``after``, in the order of their ids."""
    rows = (
        PaymentSession.select(PaymentSession.id, PaymentSession.expires_at)
        .where(PaymentSession.id > after, *OPEN)
        .order_by(PaymentSession.id)
        .limit(limit)
    )
    return [(row.id, row.expires_at) for row in rows]


def no_longer_open(session_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the sessions whose window is not open any more."""
    rows = PaymentSession.select(PaymentSession.id).where(PaymentSession.id.in_(session_ids), *OPEN)
    return set(session_ids) - {row.id for row in rows}
