"""Everything that touched a session, in order of time: what happened, who did it, and why.

Read from the rows that the work itself left: commands, attempts, Stripe's events, transitions, charges, refunds, disputes,
what sellers were sent, documents and their downloads, notifications. Nothing is written for the timeline's sake, so it
cannot disagree with the books.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paywindow import jsons
from paywindow.models import event_lists, notification_lists
from paywindow.models.tables import (
    CheckoutAttempt,
    Dispute,
    Operation,
    Receipt,
    ReceiptDownload,
    Refund,
    SellerMovement,
    StripeEvent,
    Transaction,
    Transition,
)
from paywindow.money import Money
from paywindow.notification_state import NotificationState


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``what`` is its kind; ``why`` a reason or an error, when one is recorded."""

    at: datetime
    what: str
    who: str | None
    text: str
    why: str | None = None

    def public(self) -> dict[str, Any]:
        """As the command line prints it; times in UTC with milliseconds, since much happens within a second."""
        at = self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"at": at, "what": self.what, "who": self.who, "text": self.text, "why": self.why}


def timeline(session_id: uuid.UUID) -> list[dict[str, Any]]:
    """The session's timeline, oldest first. Call it inside a transaction."""
    attempts = list(CheckoutAttempt.select().where(CheckoutAttempt.session == session_id))
    charges = list(Transaction.select().where(Transaction.session == session_id))
    transitions = list(Transition.select().where(Transition.session == session_id).order_by(Transition.id))
    # Of one moment: the command before its attempt, the event before what it moved. The sort keeps this order.
    entries = [
        *_operations(session_id),
        *_attempts(attempts),
        *_events(attempts, charges, transitions),
        *map(_transition, transitions),
        *map(_charge, charges),
        *_refunds(charges),
        *_disputes(charges),
        *_movements(charges),
        *_documents(session_id),
        *_notifications(session_id),
    ]
    return [entry.public() for entry in sorted(entries, key=lambda entry: entry.at)]


def _operations(session_id: uuid.UUID) -> Iterator[Entry]:
    for row in Operation.select().where(Operation.session == session_id).order_by(Operation.created_at):
        why = jsons.loads(row.request).get("reason")
        yield Entry(row.created_at, "command", row.client, f"{row.kind} (operation {row.id})", why)
        if row.outcome is not None and row.finished_at is not None:
            outcome = jsons.loads(row.outcome)
            body = outcome["body"]
            refusal = f"{body['code']}: {body['detail']}" if outcome["status"] >= 400 else None
            yield Entry(row.finished_at, "answer", None, f"{row.kind} answered with {outcome['status']}", refusal)


def _attempts(attempts: list[CheckoutAttempt]) -> Iterator[Entry]:
    for row in attempts:
        page = f"page {row.stripe_checkout_id}" if row.stripe_checkout_id else "no page"
        text = f"attempt {row.number} ({row.kind}), {page}"
        yield Entry(row.created_at, "attempt", None, text, row.last_error)
        if row.closed_at is not None:
            yield Entry(row.closed_at, "attempt", None, f"attempt {row.number} is {row.status}")


def _events(
    attempts: list[CheckoutAttempt], charges: list[Transaction], transitions: list[Transition]
) -> Iterator[Entry]:
    """Events about the session's pages and payments, and those that moved it."""
    about = {row.stripe_checkout_id for row in attempts} | {row.stripe_payment_intent_id for row in attempts}
    about |= {row.stripe_payment_intent_id for row in charges}
    moved = {row.stripe_event_id for row in transitions}
    subject = event_lists.subject()
    for row in (
        StripeEvent.select()
        .where(subject.in_(_known(about)) | StripeEvent.id.in_(_known(moved)))
        .order_by(StripeEvent.received_at, StripeEvent.stripe_created_at)
    ):
        yield Entry(row.received_at, "event", "stripe", f"{row.type} ({row.id}), {_handling(row)}", row.last_error)


def _known(ids: set[str | None]) -> list[str]:
    return sorted(each for each in ids if each is not None)


def _handling(row: StripeEvent) -> str:
    if row.handled_at is not None:
        return str(row.verdict)
    if row.parked_at is not None:
        return f"parked after {row.tries} tries"
    return f"not handled after {row.tries} tries" if row.tries else "not handled yet"


def _transition(row: Transition) -> Entry:
    change = f"{row.from_status} → {row.to_status}" if row.from_status != row.to_status else f"stays {row.to_status}"
    held = f", held ({row.hold_reason})" if row.hold_reason else ""
    return Entry(row.at, "transition", row.who, f"{row.event}: {change}{held}", row.why)


def _charge(row: Transaction) -> Entry:
    settled = ", settles the session" if row.settled_at is not None else ""
    name = row.stripe_charge_id or row.stripe_payment_intent_id
    text = f"{Money(row.amount_minor, row.currency)} {row.status}{settled} ({name})"
    code = row.decline_code or row.failure_code
    return Entry(row.processed_at or row.created_at, "charge", "stripe", text, code)


def _refunds(charges: list[Transaction]) -> Iterator[Entry]:
    rows = Refund.select().where(Refund.transaction.in_([row.id for row in charges])).order_by(Refund.created_at)
    for row in rows if charges else ():
        text = f"{Money(row.amount_minor, row.currency)} back, {row.status} ({row.stripe_refund_id or row.id})"
        yield Entry(row.created_at, "refund", row.made_by, text, row.failure_reason or row.last_error or row.why)


def _disputes(charges: list[Transaction]) -> Iterator[Entry]:
    rows = Dispute.select().where(Dispute.transaction.in_([row.id for row in charges])).order_by(Dispute.opened_at)
    for row in rows if charges else ():
        name = f"{Money(row.amount_minor, row.currency)} disputed ({row.stripe_dispute_id})"
        yield Entry(row.opened_at, "dispute", "buyer", name, row.reason)
        if row.closed_at is not None:
            yield Entry(row.closed_at, "dispute", "stripe", f"{name}: {row.status}")


def _movements(charges: list[Transaction]) -> Iterator[Entry]:
    """What was sent to the seller, or taken back."""
    rows = SellerMovement.select().where(SellerMovement.transaction.in_([row.id for row in charges]))
    for row in rows.order_by(SellerMovement.created_at, SellerMovement.number) if charges else ():
        way = "to the seller" if row.kind == "transfer" else "back from the seller"
        name = row.stripe_reversal_id or row.stripe_transfer_id or row.destination_account
        text = f"{Money(row.amount_minor, row.currency)} {way}, {row.status} ({name})"
        yield Entry(row.finished_at or row.created_at, "payout", None, text, row.last_error)


def _documents(session_id: uuid.UUID) -> Iterator[Entry]:
    documents = list(Receipt.select().where(Receipt.session == session_id).order_by(Receipt.issued_at))
    for row in documents:
        kind = row.kind.replace("_", " ")
        yield Entry(row.issued_at, "receipt", None, f"{kind} {row.receipt_number} issued")
        if row.stored_at is not None:
            yield Entry(row.stored_at, "receipt", None, f"{kind} {row.receipt_number} stored")
    numbers = {row.id: row.receipt_number for row in documents}
    fetched = ReceiptDownload.select().where(ReceiptDownload.receipt.in_(list(numbers))).order_by(ReceiptDownload.at)
    for download in fetched if numbers else ():
        yield Entry(download.at, "download", download.who, numbers[download.receipt_id])


#: How far a notification got, in the words of a timeline.
_TOLD = {
    NotificationState.UNSENT: "told nobody: no receiver is configured",
    NotificationState.WAITING: "not delivered yet",
    NotificationState.DEAD: "given up at a receiver",
    NotificationState.DELIVERED: "delivered",
}


def _notifications(session_id: uuid.UUID) -> Iterator[Entry]:
    for row, state in notification_lists.of_session(session_id):
        yield Entry(row.created_at, "notice", None, f"{row.type}, {_TOLD[state]}")
