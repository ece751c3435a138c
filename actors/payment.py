"""Taking a payment into the books: the one way in which money settles a session, is given back, or is held.

Called by whoever learned of the money first: a webhook, a cancel that came too late, a page that was closed too late. The
money rules (docs/architecture.md) are here; a second run finds the PaymentIntent already recorded and changes nothing.
"""

import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from paywindow import jsons, metrics
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout
from paywindow.errors import PaywindowError, Permanent
from paywindow.models import analytics, attempts, inbox, moves, outbox, payments, refund_claims, refunds, shares
from paywindow.models.database import after_commit
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Refund, Transaction
from paywindow.states import PAYABLE, Answer, Event, Kind, Status

_CLEARED = {"failure_code": None, "failure_message": None, "retry_at": None}


class AskStripe(PaywindowError):
    """The books cannot be written from what is at hand: read this Checkout Session first, outside the transaction."""

    def __init__(self, checkout_id: str):
        super().__init__(checkout_id)
        self.checkout_id = checkout_id


def record_payment(page: Checkout, cause: Cause) -> bool:
    """Record what a complete Checkout Session says, in the current transaction; false when it was recorded before.

    Raises :class:`AskStripe` when the deadline has passed and ``page`` does not tell when the charge succeeded.
    """
    attempt = attempts.of_checkout(page.id)
    if attempt is None or page.payment_intent_id is None:
        raise Permanent(f"{page.id} is not the page of any attempt, or has no PaymentIntent")
    session = moves.lock_session(attempt.session_id)
    if session is None:
        raise Permanent(f"attempt {attempt.id} has no payment session")
    attempts.know_payment_intent(attempt, page.payment_intent_id)
    first_word = attempts.complete(attempt, cause.at)
    inbox.wake(page.payment_intent_id, cause.at)
    _close_successor(session, attempt, cause.at)
    if not page.paid:
        # How the submission ended may have been told before the submission itself.
        return _submit(session, cause) if first_word else False
    if payments.of_intent(page.payment_intent_id) is not None:
        return False
    event = judge(session, attempt, page, cause.at)
    row = _insert(session, attempt, page, cause.at)
    take(session, row, event, cause)
    return True


def take(session: PaymentSession, row: Transaction, event: Event, cause: Cause) -> Answer:
    """Let a payment that is in the books, and settles nothing yet, happen to its session, with all that follows.

    The caller holds the session's lock.
    """
    settles = event is Event.PAID and session.hold_reason is None and session.status != Status.CANCELED
    answer = moves.apply(session, event, cause, **(settled_by(row) if settles else _looked_at(session, cause.at)))
    if answer.kind is Kind.MOVE:
        settle(session, row, cause.at)
    elif answer.kind is Kind.REFUND:
        give_back(row, cause.at, made_by=f"system:{event}", why=None, twice=event is Event.PAID_TWICE)
    elif event is Event.PAID_WHILE_TAKEN and answer.kind is Kind.STAY:
        outbox.follow_up("payment.take_back", cause.at, transaction_id=str(row.id))
    return answer


def settled_by(row: Transaction) -> dict[str, Any]:
    """What a payment changes about the session that it settles: completed when the money was taken, the auction its own."""
    return {
        **_CLEARED,
        "stripe_payment_intent_id": row.stripe_payment_intent_id,
        "completed_at": row.processed_at,
        "released_at": None,
    }


def settle(session: PaymentSession, row: Transaction, at: datetime) -> None:
    """Write down that a payment settles its session, which has just moved, and have the receipt issued."""
    row.settled_at = at
    if row.currency == session.currency and session.platform_fee_minor is not None:
        # An operator may have accepted less than was asked.
        row.platform_fee_minor = min(session.platform_fee_minor, row.amount_minor)
    Transaction.change(row.id, settled_at=at, platform_fee_minor=row.platform_fee_minor)
    after_commit(partial(metrics.MONEY_TAKEN.labels(row.currency).inc, row.amount_minor))
    analytics.track(analytics.CHECKOUT_COMPLETED, session, at)
    outbox.follow_up("receipts.issue", at, transaction_id=str(row.id))
    if session.split == shares.COLLECT:
        shares.settle_up_later(row, session, at)


def issue_credit_notes(row: Transaction, at: datetime) -> None:
    """What was given back of a payment before it settled anything, in Stripe's dashboard, has no credit note yet."""
    for refund in Refund.select().where(Refund.transaction == row.id, Refund.status == "succeeded"):
        outbox.follow_up("receipts.issue_credit_note", at, refund_id=str(refund.id))


def give_back(row: Transaction, at: datetime, *, made_by: str, why: str | None, twice: bool = False) -> None:
    """Have what is left of a payment refunded, by itself or by an operator's decision."""
    reason = "duplicate" if twice else "requested_by_customer"
    refund_claims.claim(row, refunds.left(row), at, made_by=made_by, why=why, reason=reason)


def judge(session: PaymentSession, attempt: CheckoutAttempt, page: Checkout, at: datetime) -> Event:
    """Which event a successful charge is (money rules 1, 4, 5 and 6)."""
    if (page.amount_minor, page.currency) != (session.amount_minor, session.currency):
        return Event.PAID_MISMATCHED
    if session.status == Status.CANCELED:
        return Event.PAID_CANCELED
    other = other_of_auction(session)
    if session.status == Status.COMPLETED or (other is not None and other.status == Status.COMPLETED):
        return Event.PAID_TWICE
    if _is_late(session, page, at):
        return _judge_late(session, attempt, other)
    return Event.PAID if other is None else Event.PAID_WHILE_TAKEN


def other_of_auction(session: PaymentSession) -> PaymentSession | None:
    """Another session to which the auction belongs, open or settled, since this one has released it."""
    return None if session.released_at is None else moves.unreleased_of(session.auction_id)


def _is_late(session: PaymentSession, page: Checkout, at: datetime) -> bool:
    deadline: datetime = session.expires_at + timedelta(seconds=runtime().settings.payment_late_grace_seconds)
    if at <= deadline:
        return False
    # Only now does it matter when the money was taken; the webhook's own time says nothing about that.
    if page.charge is None or not page.charge.succeeded:
        raise AskStripe(page.id)
    return page.charge.created > deadline


def _judge_late(session: PaymentSession, attempt: CheckoutAttempt, other: PaymentSession | None) -> Event:
    """What late money is, by the session's own policy. It never takes the auction from the next bidder."""
    if session.late_policy == "hold":
        return Event.PAID_LATE_HELD
    if session.late_policy == "accept":
        return Event.PAID if other is None else Event.PAID_TWICE
    # What comes in on an old page must not end a session that is being paid on its current one (money rule 3).
    elsewhere = session.status == Status.PROCESSING and attempt.number != session.attempt_number
    return Event.PAID_TWICE if elsewhere else Event.PAID_LATE


def _submit(session: PaymentSession, cause: Cause) -> bool:
    """A delayed payment was submitted; false when that changes nothing."""
    if other_of_auction(session) is not None:
        # The next bidder has the auction; should money come of this, it is judged then.
        moves.touch(session.id, cause.at)
        return True
    # Only a session that moves on takes its auction back.
    moved_on = moves.check(session, Event.SUBMITTED).kind is Kind.MOVE
    taken_back = {**_CLEARED, "released_at": None} if moved_on else {}
    return moves.apply(session, Event.SUBMITTED, cause, **taken_back).kind is not Kind.PAST


def _close_successor(session: PaymentSession, attempt: CheckoutAttempt, at: datetime) -> None:
    """Money came in on a page that had been replaced: its successor must not be paid, too."""
    current = current_attempt(session)
    if current is not None and current.id != attempt.id and current.status == "open":
        outbox.follow_up("checkout.close_page", at, attempt_id=str(current.id))


def _looked_at(session: PaymentSession, at: datetime) -> dict[str, Any]:
    """An open session keeps its timers, and a look at them is due: its page may be dead now, or its time over."""
    return {"due_at": at, "due_tries": 0} if session.status in PAYABLE else {}


def _insert(session: PaymentSession, attempt: CheckoutAttempt, page: Checkout, at: datetime) -> Transaction:
    charge = page.charge
    row: Transaction = Transaction.create(
        id=uuid.uuid4(),
        session=session,
        attempt=attempt,
        stripe_payment_intent_id=page.payment_intent_id,
        stripe_charge_id=charge.id if charge else None,
        status="succeeded",
        amount_minor=page.amount_minor,
        currency=page.currency,
        **shares.of_new_payment(session, at, settled=False),
        card_brand=charge.card_brand if charge else None,
        card_last4=charge.card_last4 if charge else None,
        buyer_name=page.buyer_name,
        buyer_email=page.buyer_email or session.buyer_email,
        buyer_address=jsons.dumps(page.buyer_address) if page.buyer_address else None,
        created_at=at,
        processed_at=charge.created if charge else at,
    )
    return row
