"""Disputes: what Stripe says of them, and what the rest of the program asks about them."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from paywindow import jsons
from paywindow.clock import isoformat
from paywindow.disputes import StripeDispute, is_inquiry
from paywindow.models import outbox
from paywindow.models.tables import Dispute, Transaction
from paywindow.money import Money


def told_of(paid: Transaction, found: StripeDispute, borne_by: str, at: datetime) -> Dispute:
    """Keep that there is such a dispute, have Stripe read, and let older answers count for nothing.

    From here on refunds are refused, if the dispute is one that forbids them. ``borne_by``: seller or platform, who loses what
    the bank takes; it stays as it is told first. The caller holds the session's lock.
    """
    row = Dispute.get_or_none(Dispute.stripe_dispute_id == found.id)
    if row is None:
        row = Dispute.create(
            id=uuid.uuid4(),
            transaction=paid,
            stripe_dispute_id=found.id,
            borne_by=borne_by,
            created_at=at,
            **_columns(found, at),
        )
    Dispute.update(changes=Dispute.changes + 1).where(Dispute.id == row.id).execute()
    outbox.follow_up("disputes.read", at, dispute_id=str(row.id))
    kept: Dispute = row
    return kept


def write(dispute: Dispute, found: StripeDispute, at: datetime) -> Dispute | None:
    """Record what Stripe said; ``None`` when something was told since ``dispute`` was read.

    The caller holds the session's lock.
    """
    current: Dispute = Dispute.get_by_id(dispute.id)
    if current.changes != dispute.changes:
        return None
    columns = _columns(found, at)
    if any(
        getattr(current, name) != value for name, value in columns.items() if name not in ("updated_at", "closed_at")
    ):
        if current.closed_at is not None and found.closed:
            columns["closed_at"] = current.closed_at
        Dispute.update(**columns).where(Dispute.id == current.id).execute()
    written: Dispute = Dispute.get_by_id(dispute.id)
    return written


def news(dispute: Dispute) -> str | None:
    """What the marketplace was not told yet of how a dispute stands, as a text to compare; ``None`` if it knows."""
    stands = jsons.dumps([dispute.status, dispute.withdrawn, dispute.reinstated, _when(dispute.evidence_due_at)])
    return stands if stands != dispute.told else None


def tell(dispute: Dispute, stands: str) -> None:
    """The marketplace knows how the dispute stands."""
    Dispute.update(told=stands).where(Dispute.id == dispute.id).execute()


def blocking(paid: Transaction) -> Dispute | None:
    """The dispute that forbids to refund a payment: Stripe would refuse, since the bank has, or may get, the money.

    An inquiry does not: giving the money back is one way to end it. Nor does a dispute that was won.
    """
    found: Dispute | None = (
        Dispute.select()
        .where(Dispute.transaction == paid.id, ~Dispute.refundable)
        .order_by(Dispute.opened_at.desc())
        .first()
    )
    return found


def withdrawn(paid: Transaction, rows: Iterable[Dispute], borne_by: tuple[str, ...] = ("seller", "platform")) -> int:
    """How much of a payment banks have taken back and not returned by its disputes, in the payment's minor units."""
    taken = (row for row in rows if row.withdrawn and not row.reinstated and row.borne_by in borne_by)
    return min(sum(int(row.amount_minor) for row in taken), int(paid.amount_minor))


def of(paid: Transaction) -> list[Dispute]:
    """A payment's disputes, newest first."""
    return Dispute.read_all("WHERE transaction_id = %s ORDER BY opened_at DESC", paid.id)


def public(row: Dispute) -> dict[str, Any]:
    """The ``dispute`` object of the API, for the marketplace."""
    return {
        "id": str(row.id),
        "stripeDisputeId": row.stripe_dispute_id,
        "status": row.status,
        "inquiry": is_inquiry(row.status),
        "reason": row.reason,
        "amount": Money(row.amount_minor, row.currency).decimal(),
        "currency": row.currency,
        "fundsWithdrawn": row.withdrawn,
        "fundsReinstated": row.reinstated,
        "fee": Money(row.fee_minor, row.balance_currency).decimal() if row.balance_currency else None,
        "feeCurrency": row.balance_currency,
        "evidenceDueBy": _when(row.evidence_due_at),
        "openedAt": _when(row.opened_at),
        "closedAt": _when(row.closed_at),
    }


def _columns(found: StripeDispute, at: datetime) -> dict[str, Any]:
    return {
        "amount_minor": found.amount_minor,
        "currency": found.currency,
        "status": found.status,
        "reason": found.reason,
        "refundable": found.refundable,
        "evidence_due_at": found.evidence_due,
        "withdrawn": found.withdrawn,
        "reinstated": found.reinstated,
        "fee_minor": found.fee_minor,
        "net_minor": found.net_minor,
        "balance_currency": found.balance_currency,
        "opened_at": found.created,
        "closed_at": at if found.closed else None,
        "updated_at": at,
    }


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
