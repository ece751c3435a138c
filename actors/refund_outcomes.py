"""What follows from what Stripe says of a refund, whoever heard it first: a webhook, or the answer to our own call.

The payment session keeps its status: refunds live on its transaction. A refund that went through gets a credit note, if its
payment had settled the session, and sets the auction free if it was asked to and nothing is left. Money that should have
gone back and did not is held. Everything is in the current transaction, and the operation that asked for the refund is
answered in it.
"""

from typing import Any

from paywindow import metrics
from paywindow.errors import Problem, StripeRefused
from paywindow.models import moves, notifications, operations, outbox, refund_claims, refunds, shares
from paywindow.models.moves import Cause
from paywindow.models.snapshots import public_refund, public_session
from paywindow.models.tables import Operation, PaymentSession, Refund, Transaction
from paywindow.refunds import ALREADY_REFUNDED, BLOCKED
from paywindow.states import Event


def told(session: PaymentSession, paid: Transaction, found: dict[str, Any], cause: Cause) -> bool:
    """Record what Stripe says of a refund of ``paid``; false when that was known. The caller holds the session's lock."""
    refund, is_new = refunds.record(paid, found, cause.at)
    if not is_new:
        return False
    metrics.REFUNDS.labels(refund.status).inc()
    refunds.settle(paid)
    shares.settle_up_later(paid, session, cause.at)
    if refund.status in refunds.FELL_THROUGH and _nobody_decided(session, paid):
        moves.apply(session, Event.REFUND_FAILED, cause)
    elif refund.status == "succeeded" and paid.settled_at is not None:
        outbox.follow_up("receipts.issue_credit_note", cause.at, refund_id=str(refund.id))
        if paid.status == "refunded" and session.released_at is None and refunds.wants_release(paid):
            moves.apply(session, Event.REFUNDED, cause)
    moves.touch(session.id, cause.at)
    session = PaymentSession.get_by_id(session.id)
    notifications.announce("payment.refunded", session, cause.at, refund=_announced(refund))
    _answer(refund, session, cause)
    return True


def refused(session: PaymentSession, refund: Refund, refusal: StripeRefused, cause: Cause) -> None:
    """Stripe will not make a refund: for good, or, while something stands against it, for an operator to try again."""
    code = refusal.code or "stripe_refused"
    blocked = code in BLOCKED
    if not refund_claims.end(refund, "held" if blocked else "failed", code, str(refusal), cause.at):
        return
    refund = Refund.get_by_id(refund.id)
    metrics.REFUNDS.labels(refund.status).inc()
    paid = Transaction.get_by_id(refund.transaction_id)
    if blocked:
        moves.apply(session, Event.REFUND_BLOCKED, cause)
    elif _nobody_decided(session, paid):
        moves.apply(session, Event.REFUND_FAILED, cause)
    moves.touch(session.id, cause.at)
    _refuse(refund, session, refusal, code, cause)


def _nobody_decided(session: PaymentSession, paid: Transaction) -> bool:
    """Whether the money that stays now has no right to: it settles nothing, or its auction is free again."""
    return (paid.settled_at is None or session.released_at is not None) and refunds.left(paid) > 0


def _answer(refund: Refund, session: PaymentSession, cause: Cause) -> None:
    row = _waiting(refund)
    if row is not None:
        body = {"refund": public_refund(refund), "paymentSession": public_session(session, None)}
        operations.finish(row, 201, body, cause.at)


def _refuse(refund: Refund, session: PaymentSession, refusal: StripeRefused, code: str, cause: Cause) -> None:
    row = _waiting(refund)
    if row is None:
        return
    told = {"sessionId": str(session.id), "refundId": str(refund.id)}
    if code in BLOCKED:
        detail = f"Stripe refuses this refund for now ({code}): it is held for an operator."
        problem = Problem("refund_blocked", detail, stripeCode=code, **told)
    elif code == ALREADY_REFUNDED:
        problem = Problem("already_refunded", "All of the payment was refunded already.", **told)
    else:
        problem = Problem("stripe_refused", str(refusal), stripeCode=code, param=refusal.param, **told)
    operations.refuse(row, problem, cause.at)


def _waiting(refund: Refund) -> Operation | None:
    """The operation that asked for the refund, locked, if it has no answer yet."""
    if refund.operation_id is None:
        return None
    row: Operation = Operation.select().where(Operation.id == refund.operation_id).for_update().get()
    return row if row.outcome is None else None


def _announced(refund: Refund) -> dict[str, object]:
    return {**public_refund(refund), "stripeRefundId": refund.stripe_refund_id}
