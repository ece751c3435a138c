"""Stripe's disputes against those in the books."""

from typing import Any

from paywindow.actors.comparing import Evidence, Ours, Suspicion, against_books, look, money, tell
from paywindow.actors.disputes import read
from paywindow.actors.handlers import HANDLERS
from paywindow.disputes import StripeDispute, read_dispute
from paywindow.models import attempts
from paywindow.models.database import transaction
from paywindow.models.tables import Dispute, Transaction

KIND = "dispute"


def key(dispute: dict[str, Any]) -> str:
    """What says that a dispute was seen at Stripe."""
    return str(dispute["id"])


def again(dispute: dict[str, Any]) -> Evidence | None:
    """The dispute as it is now."""
    return look(KIND, dispute["id"])


def one(row: Ours) -> Evidence | None:
    """The dispute of a row."""
    return look(KIND, row.stripe_id)


def missing(row: Ours) -> Suspicion:
    """The books have a dispute, Stripe has not."""
    return Suspicion("dispute_missing_at_stripe", row.stripe_id, row.session_id, row.reads, "no such dispute")


def judge(evidence: list[Evidence]) -> list[tuple[Evidence, Suspicion]]:
    """Compare disputes with the books, in the current transaction."""
    ids = [each.found["id"] for each in evidence]
    rows = Dispute.select(Dispute, Transaction).join(Transaction).where(Dispute.stripe_dispute_id.in_(ids))
    booked = {row.stripe_dispute_id: row for row in rows} if ids else {}
    return against_books(evidence, booked, _unbooked, _difference)


def _unbooked(found: dict[str, Any]) -> Suspicion | None:
    theirs = read_dispute(found)
    intent = theirs.payment_intent_id
    attempt = attempts.of_payment_intent(intent) if intent is not None else None
    if attempt is None:
        return None  # another program's payment; or one that is not booked, which is told of the payment
    return Suspicion(
        "dispute_not_booked",
        theirs.id,
        attempt.session_id,
        "no such dispute",
        _theirs(theirs),
        lambda who: _mend(found, who),
    )


def _difference(found: dict[str, Any], row: Dispute) -> Suspicion | None:
    theirs = read_dispute(found)
    books = (row.status, row.amount_minor, row.currency, row.withdrawn, row.reinstated, row.fee_minor, row.net_minor)
    stripe = (
        *(theirs.status, theirs.amount_minor, theirs.currency),
        *(theirs.withdrawn, theirs.reinstated, theirs.fee_minor, theirs.net_minor),
    )
    if books == stripe:
        return None
    return Suspicion(
        "dispute_differs",
        theirs.id,
        row.transaction.session_id,
        reads(row),
        _theirs(theirs),
        lambda who: _mend(found, who),
    )


def _mend(found: dict[str, Any], who: str) -> None:
    """As its event would have done: note that there is news, and read the dispute."""
    tell(HANDLERS["charge.dispute.updated"], found, who)
    with transaction():
        row = Dispute.get_or_none(Dispute.stripe_dispute_id == found["id"])
    if row is not None:
        read(str(row.id))


def _theirs(found: StripeDispute) -> str:
    moved = _moved(found.withdrawn, found.reinstated)
    return f"{money(found.amount_minor, found.currency)}, {found.status}{moved}, fee {found.fee_minor}"


def reads(row: Dispute) -> str:
    """A dispute as the books have it."""
    return f"{money(row.amount_minor, row.currency)}, {row.status}{_moved(row.withdrawn, row.reinstated)}, fee {row.fee_minor}"


def _moved(withdrawn: bool, reinstated: bool) -> str:
    return ", given back" if reinstated else ", taken" if withdrawn else ""


def ours(row: Dispute) -> Ours:
    """A dispute of the books that no list has shown."""
    return Ours(row.stripe_dispute_id, row.transaction.session_id, reads(row), str(row.id))
