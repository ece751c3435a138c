"""Refunds: what Stripe says of them, merged so that the order of its events does not matter, and what is left to refund."""

import uuid
from datetime import datetime
from typing import Any

from peewee import fn

from paywindow import jsons
from paywindow.checkout import moment
from paywindow.models.tables import PaymentSession, Refund, Transaction

#: A refund only ever moves up: an event that says less than what is known is an old one. A success may still fail, up to
#: thirty days later (https://docs.stripe.com/refunds#failed-refunds).
_RANK = {"claimed": -1, "held": -1, "pending": 0, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}
#: Money that is on its way back, or that may be: it cannot be refunded again.
RESERVED = ("claimed", "held", "pending", "requires_action", "succeeded")
#: The money did not go back, after all.
FELL_THROUGH = ("failed", "canceled")


def record(paid: Transaction, found: dict[str, Any], at: datetime) -> tuple[Refund, bool]:
    """Record a Refund object of Stripe's (https://docs.stripe.com/api/refunds/object); true if it says something new.

    One that was made here meets its row, whether its event or the answer to our call comes first. The caller holds the lock
    of the payment session.
    """
    row = Refund.get_or_none(Refund.stripe_refund_id == found["id"])
    if row is None:
        row = _ours(paid, found)
        if row is None:
            return _insert(paid, found, at), True
        row.stripe_refund_id = found["id"]
    elif _RANK[found["status"]] <= _RANK[row.status]:
        return row, False
    row.status, row.failure_reason, row.updated_at = found["status"], found.get("failure_reason"), at
    row.next_try_at = row.last_error = None
    row.save()
    return row, True


def settle(paid: Transaction) -> None:
    """Bring a transaction's status in line with its refunds that went through."""
    returned = refunded(paid)
    if returned >= paid.amount_minor:
        paid.status = "refunded"
    else:
        paid.status = "partially_refunded" if returned else "succeeded"
    paid.save(only=[Transaction.status])


def refunded(paid: Transaction) -> int:
    """How much of a transaction was given back, in minor units."""
    return _sum(paid, "succeeded")


def left(paid: Transaction) -> int:
    """How much of a transaction may still be refunded: what is neither given back nor on its way, in minor units.

    Never below zero, though both together may be more than was paid until Stripe refuses one: a refund that was claimed here, and
    one that its dashboard made first.
    """
    return max(int(paid.amount_minor) - _sum(paid, *RESERVED), 0)


def of_session(session: PaymentSession) -> list[Refund]:
    """All refunds of a session's payments, oldest first."""
    paid = "SELECT id FROM transactions WHERE session_id = %s"
    return Refund.read_all(f"WHERE transaction_id IN ({paid}) ORDER BY created_at, id", session.id)


def of_payment(paid: Transaction) -> list[Refund]:
    """All refunds of one payment, oldest first."""
    return Refund.read_all("WHERE transaction_id = %s ORDER BY created_at, id", paid.id)


def unsettled(session: PaymentSession) -> list[Transaction]:
    """The session's payments that settle nothing and are not given back (entirely), oldest first."""
    query = Transaction.select().where(
        Transaction.session == session.id, Transaction.status != "failed", Transaction.settled_at.is_null()
    )
    return [row for row in query.order_by(Transaction.created_at, Transaction.id) if left(row) > 0]


def settled(session: PaymentSession) -> Transaction | None:
    """The payment that settled the session."""
    found: Transaction | None = Transaction.get_or_none(
        Transaction.session == session.id, Transaction.settled_at.is_null(False)
    )
    return found


def wants_release(paid: Transaction) -> bool:
    """Whether a refund that went through was asked to set the auction free."""
    return bool(
        Refund.select()
        .where(Refund.transaction == paid.id, Refund.status == "succeeded", Refund.release_auction)
        .exists()
    )


def _ours(paid: Transaction, found: dict[str, Any]) -> Refund | None:
    """The row that a refund of Stripe's was made from.

    Its metadata names the row; it is believed only if payment and amount agree and the row has no other refund of Stripe's.
    """
    try:
        named = uuid.UUID((found.get("metadata") or {}).get("refund_id") or "")
    except ValueError:
        return None
    row: Refund | None = Refund.get_or_none(
        Refund.id == named, Refund.transaction == paid.id, Refund.stripe_refund_id.is_null()
    )
    if row is None or jsons.loads(row.frozen)["amount"] != found["amount"]:
        return None
    return row


def _sum(paid: Transaction, *statuses: str) -> int:
    total: int = (
        Refund.select(fn.COALESCE(fn.SUM(Refund.amount_minor), 0))
        .where(Refund.transaction == paid.id, Refund.status.in_(statuses))
        .scalar()
    )
    return int(total)


def _insert(paid: Transaction, found: dict[str, Any], at: datetime) -> Refund:
    row: Refund = Refund.create(
        id=uuid.uuid4(),
        transaction=paid,
        stripe_refund_id=found["id"],
        amount_minor=int(found["amount"]),
        currency=found["currency"].upper(),
        status=found["status"],
        reason=found.get("reason"),
        failure_reason=found.get("failure_reason"),
        created_at=moment(found["created"]),
        updated_at=at,
    )
    return row
