"""Refunds that Stripe tells of, wherever they were made: in its dashboard, by its support, or by a later request of ours.

``refund.created``, ``refund.updated`` and ``refund.failed`` all carry the whole Refund, and are handled alike. The payment
session stays *completed*: refunds live on its transaction. A refund that went through gets a credit note.
"""

from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.models import attempts, moves, notifications, outbox, refunds, shares
from paywindow.models.tables import Refund, Transaction
from paywindow.money import Money


def refund_changed(context: Context) -> str:
    """Record what is new about a refund, and what follows from it."""
    found = context.subject
    intent = found.get("payment_intent")
    paid = Transaction.get_or_none(Transaction.stripe_payment_intent_id == intent, Transaction.status != "failed")
    if paid is None:
        if isinstance(intent, str) and attempts.of_payment_intent(intent) is not None:
            raise NotYet("its payment is not recorded yet")
        return FOREIGN
    session = moves.lock_session(paid.session_id)
    if session is None:
        return NOTHING
    paid = Transaction.get_by_id(paid.id)
    refund, is_new = refunds.record(paid, found, context.at)
    if not is_new:
        return NOTHING
    refunds.settle(paid)
    shares.settle_up_later(paid, session, context.at)
    notifications.announce("payment.refunded", session, context.at, refund=_public(refund))
    moves.touch(session.id, context.at)
    if refund.status == "succeeded" and paid.settled_at is not None:
        outbox.follow_up("receipts.issue_credit_note", context.at, refund_id=str(refund.id))
    return APPLIED


def _public(refund: Refund) -> dict[str, object]:
    return {
        "id": str(refund.id),
        "stripeRefundId": refund.stripe_refund_id,
        "amount": Money(refund.amount_minor, refund.currency).decimal(),
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
    }
