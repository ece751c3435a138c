"""Everything about one payment session, for an operator's eyes."""

import uuid
from datetime import datetime
from typing import Any

from paywindow.clock import isoformat
from paywindow.models import disputes, refunds
from paywindow.models.snapshots import page_url, public_session
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Refund, Transaction, Transition
from paywindow.models.timeline import timeline
from paywindow.money import Money


def session_report(session_id: uuid.UUID) -> dict[str, Any] | None:
    """The session, its attempts, charges, refunds and transitions, oldest first, and the timeline of everything that touched it.

    ``None`` when there is no such session.
    """
    session = PaymentSession.get_or_none(PaymentSession.id == session_id)
    if session is None:
        return None
    return {
        "session": public_session(session, page_url(session)),
        "attempts": [_attempt(row) for row in _of(CheckoutAttempt, session, CheckoutAttempt.number)],
        "charges": [_charge(row) for row in _of(Transaction, session, Transaction.created_at)],
        "refunds": [_refund(row) for row in refunds.of_session(session)],
        "disputes": [
            disputes.public(each)
            for row in _of(Transaction, session, Transaction.created_at)
            for each in disputes.of(row)
        ],
        "audit": [_transition(row) for row in _of(Transition, session, Transition.id)],
        "timeline": timeline(session.id),
    }


def _of(table: Any, session: PaymentSession, order: Any) -> list[Any]:
    return list(table.select().where(table.session == session.id).order_by(order))


def _attempt(row: CheckoutAttempt) -> dict[str, Any]:
    return {
        "number": row.number,
        "kind": row.kind,
        "status": row.status,
        "page": row.stripe_checkout_id,
        "opened": _when(row.created_at),
        "closed": _when(row.closed_at),
        "tries": row.tries,
        "error": row.last_error,
    }


def _charge(row: Transaction) -> dict[str, Any]:
    return {
        "at": _when(row.created_at),
        "status": row.status,
        "amount": str(Money(row.amount_minor, row.currency)),
        "charge": row.stripe_charge_id,
        "settled": _when(row.settled_at),
        "code": row.decline_code or row.failure_code,
        "reason": row.failure_reason,
    }


def _refund(row: Refund) -> dict[str, Any]:
    return {
        "at": _when(row.created_at),
        "amount": str(Money(row.amount_minor, row.currency)),
        "status": row.status,
        "refund": row.stripe_refund_id,
        "who": row.made_by,
        "why": row.why,
        "tries": row.tries,
        "error": row.failure_reason or row.last_error,
    }


def _transition(row: Transition) -> dict[str, Any]:
    return {
        "at": _when(row.at),
        "event": row.event,
        "from": row.from_status,
        "to": row.to_status,
        "attempt": row.attempt_number,
        "hold": row.hold_reason,
        "who": row.who,
        "why": row.why,
    }


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
