"""Stripe's refunds against those in the books."""

from typing import Any

from paywindow.actors.comparing import Evidence, Ours, Suspicion, against_books, look, money, tell
from paywindow.actors.handlers import HANDLERS
from paywindow.models import attempts
from paywindow.models.tables import Refund, Transaction

KIND = "refund"
_HANDLER = HANDLERS["refund.updated"]


def key(refund: dict[str, Any]) -> str:
    """What says that a refund was seen at Stripe."""
    return str(refund["id"])


def again(refund: dict[str, Any]) -> Evidence | None:
    """The refund as it is now."""
    return look(KIND, refund["id"])


def one(row: Ours) -> Evidence | None:
    """The refund of a row."""
    return look(KIND, row.stripe_id)


def missing(row: Ours) -> Suspicion:
    """The books have a refund, Stripe has not."""
    return Suspicion("refund_missing_at_stripe", row.stripe_id, row.session_id, row.reads, "no such refund")


def judge(evidence: list[Evidence]) -> list[tuple[Evidence, Suspicion]]:
    """Compare refunds with the books, in the current transaction."""
    ids = [each.found["id"] for each in evidence]
    rows = Refund.select(Refund, Transaction).join(Transaction).where(Refund.stripe_refund_id.in_(ids))
    booked = {row.stripe_refund_id: row for row in rows} if ids else {}
    return against_books(evidence, booked, _unbooked, _difference)


def _unbooked(refund: dict[str, Any]) -> Suspicion | None:
    intent = refund.get("payment_intent")
    if not isinstance(intent, str):
        return None
    attempt = attempts.of_payment_intent(intent)
    if attempt is None:
        return None  # another program's payment; or one that is not booked, which is told of the payment
    return Suspicion(
        "refund_not_booked",
        refund["id"],
        attempt.session_id,
        "no such refund",
        _theirs(refund),
        lambda who: tell(_HANDLER, refund, who),
    )


def _difference(refund: dict[str, Any], row: Refund) -> Suspicion | None:
    session_id = row.transaction.session_id
    if (row.amount_minor, row.currency) != (refund["amount"], refund["currency"].upper()):
        return Suspicion("refund_differs", refund["id"], session_id, reads(row), _theirs(refund))
    if row.status != refund["status"]:
        return Suspicion(
            "refund_status_differs",
            refund["id"],
            session_id,
            reads(row),
            _theirs(refund),
            lambda who: tell(_HANDLER, refund, who),
        )
    return None


def _theirs(refund: dict[str, Any]) -> str:
    return f"{money(refund['amount'], refund['currency'])}, {refund['status']}"


def reads(row: Refund) -> str:
    """A refund as the books have it."""
    return f"{money(row.amount_minor, row.currency)}, {row.status}"


def ours(row: Refund) -> Ours:
    """A refund of the books that no list has shown."""
    return Ours(str(row.stripe_refund_id), row.transaction.session_id, reads(row), str(row.id))
