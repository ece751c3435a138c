"""Refunds: what Stripe says of them, merged so that the order of its events does not matter."""

import uuid
from datetime import datetime
from typing import Any

from peewee import fn

from paywindow.checkout import moment
from paywindow.models.tables import Refund, Transaction

#: A refund only ever moves up: an event that says less than what is known is an old one. A success may still fail, up to
#: thirty days later (https://docs.stripe.com/refunds#failed-refunds).
_RANK = {"pending": 0, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}


def record(paid: Transaction, found: dict[str, Any], at: datetime) -> tuple[Refund, bool]:
    """Record a Refund object of Stripe's (https://docs.stripe.com/api/refunds/object); true if it says something new.

    The caller holds the lock of the payment session.
    """
    row = Refund.get_or_none(Refund.stripe_refund_id == found["id"])
    if row is None:
        return _insert(paid, found, at), True
    if _RANK[found["status"]] <= _RANK[row.status]:
        return row, False
    row.status, row.failure_reason, row.updated_at = found["status"], found.get("failure_reason"), at
    row.save(only=[Refund.status, Refund.failure_reason, Refund.updated_at])
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
    total: int = (
        Refund.select(fn.COALESCE(fn.SUM(Refund.amount_minor), 0))
        .where(Refund.transaction == paid.id, Refund.status == "succeeded")
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
