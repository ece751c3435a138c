"""Work that Postgres knows of and that is not done: how much, since when, and what of it is overdue.

The sweeps do all of this by themselves; an operator looks here when something seems stuck, and finds the row with its last
error. *Overdue* is what should have been done a while ago and was not, although its sweep comes every few seconds. Events
that are parked, sessions and refunds that are held, sellers' money that Stripe would not move, and disputes that want an
answer wait for a person: they are overdue as soon as they are there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from paywindow.backlog_kinds import BacklogKind
from paywindow.clock import isoformat
from paywindow.models import shares
from paywindow.models.tables import (
    CheckoutAttempt,
    Dispute,
    NotificationDelivery,
    Operation,
    Outbox,
    PaymentSession,
    Receipt,
    Refund,
    SellerMovement,
    StripeEvent,
)
from paywindow.models.windows import OPEN
from paywindow.money import Money

#: Long enough for the sweeps' first few tries after an outage.
PATIENCE = timedelta(minutes=5)
#: The marketplace's server may be away for a while.
RECEIVERS_PATIENCE = timedelta(hours=1)
#: Counting must stay cheap in the middle of a jam.
COUNTED_UP_TO = 100_000


@dataclass(frozen=True, slots=True)
class _Work:
    """Where one kind of work lies: rows of ``table`` that meet ``conditions`` wait since ``since``."""

    table: Any
    since: Any
    conditions: tuple[Any, ...]
    show: Callable[[Any], tuple[str, str, int | None, str | None]]
    patience: timedelta = PATIENCE


def _refund(row: Refund) -> tuple[str, str]:
    return str(row.id), f"{Money(row.amount_minor, row.currency)} back, for {row.made_by}"


def _dispute(row: Dispute) -> tuple[str, str]:
    until = f" by {isoformat(row.evidence_due_at)}" if row.evidence_due_at is not None else ""
    return row.stripe_dispute_id, f"answer it in Stripe's dashboard{until}"


def _share(row: SellerMovement) -> str:
    way = "to" if row.kind == "transfer" else "back from"
    return f"{Money(row.amount_minor, row.currency)} {way} {row.destination_account}, refused"


_WORK: dict[BacklogKind, _Work] = {
    BacklogKind.OUTBOX: _Work(
        Outbox, Outbox.created_at, (), lambda row: (str(row.id), f"{row.actor} {row.arguments}", row.sends, None)
    ),
    BacklogKind.OPERATIONS: _Work(
        Operation,
        Operation.created_at,
        (Operation.outcome.is_null(),),
        lambda row: (str(row.id), f"{row.kind} for {row.client}", row.tries, None),
    ),
    BacklogKind.EVENTS: _Work(
        StripeEvent,
        StripeEvent.received_at,
        (StripeEvent.handled_at.is_null(), StripeEvent.parked_at.is_null()),
        lambda row: (row.id, row.type, row.tries, row.last_error),
    ),
    BacklogKind.PARKED: _Work(
        StripeEvent,
        StripeEvent.parked_at,
        (StripeEvent.parked_at.is_null(False),),
        lambda row: (row.id, row.type, row.tries, row.last_error),
        timedelta(),
    ),
    BacklogKind.ATTEMPTS: _Work(
        CheckoutAttempt,
        CheckoutAttempt.created_at,
        (CheckoutAttempt.status == "claimed",),
        lambda row: (str(row.session_id), f"page of attempt {row.number}", row.tries, row.last_error),
    ),
    BacklogKind.WINDOWS: _Work(
        PaymentSession,
        # A claimed window is due again in a moment; what it waits for is in the past all the same.
        fn.LEAST(PaymentSession.due_at, PaymentSession.expires_at),
        OPEN,
        lambda row: (str(row.id), f"window until {isoformat(row.expires_at)}", row.due_tries, None),
    ),
    BacklogKind.REFUNDS: _Work(
        Refund, Refund.created_at, (Refund.status == "claimed",), lambda row: (*_refund(row), row.tries, row.last_error)
    ),
    BacklogKind.RECEIPTS: _Work(
        Receipt,
        Receipt.issued_at,
        (Receipt.stored_at.is_null(),),
        lambda row: (row.receipt_number, f"file of a {row.kind.replace('_', ' ')}", None, None),
    ),
    BacklogKind.NOTIFICATIONS: _Work(
        NotificationDelivery,
        NotificationDelivery.created_at,
        (NotificationDelivery.next_try_at.is_null(False),),
        lambda row: (str(row.notification_id), f"to {row.sink}", row.tries, row.last_error),
        RECEIVERS_PATIENCE,
    ),
    BacklogKind.HOLDS: _Work(
        PaymentSession,
        PaymentSession.hold_since,
        (PaymentSession.hold_reason.is_null(False),),
        lambda row: (str(row.id), f"held: {row.hold_reason}", None, None),
        timedelta(),
    ),
    BacklogKind.HELD_REFUNDS: _Work(
        Refund,
        Refund.created_at,
        (Refund.status == "held",),
        lambda row: (*_refund(row), row.tries, row.last_error),
        timedelta(),
    ),
    BacklogKind.SHARES_REFUSED: _Work(
        SellerMovement,
        SellerMovement.finished_at,
        (SellerMovement.status == "refused", shares.is_outstanding(SellerMovement)),
        lambda row: (str(row.transaction_id), _share(row), None, row.last_error),
        timedelta(),
    ),
    BacklogKind.DISPUTES: _Work(
        Dispute,
        Dispute.opened_at,
        (Dispute.status.in_(["needs_response", "warning_needs_response"]), Dispute.closed_at.is_null()),
        lambda row: (*_dispute(row), None, row.reason),
        timedelta(),
    ),
}


def summary(at: datetime) -> list[dict[str, Any]]:
    """Of each kind: how much waits at ``at``, how much of it is overdue, and since when the oldest waits."""
    return [_summary(kind, work, at) for kind, work in _WORK.items()]


def _summary(kind: BacklogKind, work: _Work, at: datetime) -> dict[str, Any]:
    waiting = _rows(work, at).select(work.since.alias("since")).limit(COUNTED_UP_TO).alias("waiting")
    overdue = fn.COUNT("*").filter(waiting.c.since <= at - work.patience)
    count, late, oldest = (
        work.table.select(fn.COUNT("*"), overdue, fn.MIN(waiting.c.since)).from_(waiting).tuples().get()
    )
    return {
        "kind": kind.value,
        "waiting": count,
        "overdue": late,
        "oldest": isoformat(oldest) if oldest is not None else None,
    }


def rows(kind: BacklogKind, at: datetime, limit: int) -> list[dict[str, Any]]:
    """The work of one kind that waits longest, with what is known about why."""
    work = _WORK[kind]
    since = work.since.alias("since")
    found = _rows(work, at).select(work.table, since).order_by(work.since).limit(limit)
    return [_row(work, row, at) for row in found.objects()]


def _rows(work: _Work, at: datetime) -> Any:
    # A window is work from the moment on at which it is due.
    return work.table.select().where(work.since <= at, *work.conditions)


def _row(work: _Work, row: Any, at: datetime) -> dict[str, Any]:
    identifier, what, tries, error = work.show(row)
    return {
        "id": identifier,
        "what": what,
        "since": isoformat(row.since),
        "overdue": row.since <= at - work.patience,
        "tries": tries,
        "error": error,
    }
