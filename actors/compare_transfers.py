"""Stripe's transfers against the movements by which sellers were sent their share of collected payments.

The transfer of a destination charge is Stripe's own, and is compared with the charge.
"""

import uuid
from typing import Any

from peewee import fn

from paywindow.actors.comparing import Evidence, Ours, Suspicion, against_books, look, money
from paywindow.checkout import transfer_group
from paywindow.models.shares import COLLECT
from paywindow.models.tables import PaymentSession, SellerMovement, Transaction

KIND = "transfer"


def key(transfer: dict[str, Any]) -> str:
    """What says that a transfer was seen at Stripe."""
    return str(transfer["id"])


def again(transfer: dict[str, Any]) -> Evidence | None:
    """The transfer as it is now."""
    return look(KIND, transfer["id"])


def one(row: Ours) -> Evidence | None:
    """The transfer of a movement."""
    return look(KIND, row.stripe_id)


def missing(row: Ours) -> Suspicion:
    """The books have a transfer, Stripe has not."""
    return Suspicion("transfer_missing_at_stripe", row.stripe_id, row.session_id, row.reads, "no such transfer")


def judge(evidence: list[Evidence]) -> list[tuple[Evidence, Suspicion]]:
    """Compare transfers with the books, in the current transaction."""
    ids = [each.found["id"] for each in evidence]
    rows = (
        SellerMovement.select(SellerMovement, Transaction)
        .join(Transaction)
        .where(SellerMovement.stripe_transfer_id.in_(ids), SellerMovement.kind == "transfer")
    )
    booked = {row.stripe_transfer_id: row for row in rows} if ids else {}
    return against_books(evidence, booked, _unbooked, _difference)


def _unbooked(transfer: dict[str, Any]) -> Suspicion | None:
    session_id = _session_of(transfer.get("transfer_group") or "")
    session = PaymentSession.get_or_none(PaymentSession.id == session_id) if session_id is not None else None
    if session is None or session.split != COLLECT or _is_under_way(session_id):
        return None
    return Suspicion("transfer_not_booked", transfer["id"], session.id, "no such transfer", _theirs(transfer))


def _session_of(group: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(group.removeprefix(transfer_group("")))
    except ValueError:
        return None


def _is_under_way(session_id: uuid.UUID | None) -> bool:
    """A movement whose answer is not recorded yet may be this very transfer."""
    return bool(
        SellerMovement.select()
        .join(Transaction)
        .where(Transaction.session == session_id, SellerMovement.status == "claimed")
        .exists()
    )


def _difference(transfer: dict[str, Any], row: SellerMovement) -> Suspicion | None:
    books = (row.amount_minor, row.currency, _reversed(row))
    if books == (transfer["amount"], transfer["currency"].upper(), transfer["amount_reversed"]):
        return None
    if _is_under_way(row.transaction.session_id):
        return None
    return Suspicion("transfer_differs", transfer["id"], row.transaction.session_id, reads(row), _theirs(transfer))


def _reversed(row: SellerMovement) -> int:
    total: int = (
        SellerMovement.select(fn.COALESCE(fn.SUM(SellerMovement.amount_minor), 0))
        .where(
            SellerMovement.stripe_transfer_id == row.stripe_transfer_id,
            SellerMovement.kind == "reversal",
            SellerMovement.status == "done",
        )
        .scalar()
    )
    return int(total)


def _theirs(transfer: dict[str, Any]) -> str:
    currency = transfer["currency"]
    return f"{money(transfer['amount'], currency)} sent, {money(transfer['amount_reversed'], currency)} taken back"


def reads(row: SellerMovement) -> str:
    """A transfer as the books have it."""
    return f"{money(row.amount_minor, row.currency)} sent, {money(_reversed(row), row.currency)} taken back"


def ours(row: SellerMovement) -> Ours:
    """A transfer of the books that no list has shown."""
    return Ours(str(row.stripe_transfer_id), row.transaction.session_id, reads(row), str(row.id))
