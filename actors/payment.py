"""Taking a payment into the books: the one way in which money settles a session or is held.

Called by whoever learned of the money first: a webhook, a cancel that came too late, a page that was closed too late. The
money rules (docs/architecture.md) are here; a second run finds the PaymentIntent already recorded and changes nothing.
"""

import uuid
from datetime import datetime, timedelta

from paywindow import jsons
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout
from paywindow.errors import PaywindowError, Permanent
from paywindow.models import analytics, attempts, inbox, moves, outbox, shares
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Transaction
from paywindow.states import Event, Kind, Status

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
        if not first_word:
            return False  # how the submission ended may have been told before the submission itself
        if _auction_is_others(session):
            return moves.apply(session, Event.PAID_TWICE, cause).kind is not Kind.PAST
        # Only a session that moves on takes its auction back; one that is held for an operator stays as it was.
        moved_on = moves.check(session, Event.SUBMITTED).kind is Kind.MOVE
        taken_back = {**_CLEARED, "released_at": None} if moved_on else {}
        return moves.apply(session, Event.SUBMITTED, cause, **taken_back).kind is not Kind.PAST
    if _recorded(page.payment_intent_id):
        return False
    event = judge(session, page, cause.at)
    changes = {}
    if event is Event.PAID:
        paid_at = page.charge.created if page.charge else cause.at
        changes = {
            **_CLEARED,
            "stripe_payment_intent_id": page.payment_intent_id,
            "completed_at": paid_at,
            "released_at": None,
        }
    answer = moves.apply(session, event, cause, **(changes if session.hold_reason is None else {}))
    settled = answer.kind is Kind.MOVE
    row = _insert(session, attempt, page, cause.at, settled=settled)
    if settled:
        analytics.track(analytics.CHECKOUT_COMPLETED, session, cause.at)
        outbox.follow_up("receipts.issue", cause.at, transaction_id=str(row.id))
        if row.share_due_at is not None:
            outbox.follow_up("sellers.settle_up", cause.at, transaction_id=str(row.id))
    return True


def _close_successor(session: PaymentSession, attempt: CheckoutAttempt, at: datetime) -> None:
    """Money came in on a page that had been replaced: its successor must not be paid, too."""
    current = current_attempt(session)
    if current is not None and current.id != attempt.id and current.status == "open":
        outbox.follow_up("checkout.close_page", at, attempt_id=str(current.id))


def judge(session: PaymentSession, page: Checkout, at: datetime) -> Event:
    """Which event a successful charge is (money rules 1, 4, 5 and 6)."""
    if (page.amount_minor, page.currency) != (session.amount_minor, session.currency):
        return Event.PAID_MISMATCHED
    if session.status == Status.CANCELED:
        return Event.PAID_CANCELED
    if session.status == Status.COMPLETED or _auction_is_others(session):
        return Event.PAID_TWICE
    deadline = session.expires_at + timedelta(seconds=runtime().settings.payment_late_grace_seconds)
    if at > deadline:
        # Only now does it matter when the money was taken; the webhook's own time says nothing about that.
        if page.charge is None or not page.charge.succeeded:
            raise AskStripe(page.id)
        if page.charge.created > deadline:
            return Event.PAID_LATE
    return Event.PAID


def _auction_is_others(session: PaymentSession) -> bool:
    """Whether another session of the auction is settled, or is open while this one is released."""
    return session.released_at is not None and moves.unreleased_of(session.auction_id) is not None


def _recorded(payment_intent_id: str) -> bool:
    return bool(
        Transaction.select()
        .where(Transaction.stripe_payment_intent_id == payment_intent_id, Transaction.status != "failed")
        .exists()
    )


def _insert(
    session: PaymentSession, attempt: CheckoutAttempt, page: Checkout, at: datetime, *, settled: bool
) -> Transaction:
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
        settled_at=at if settled else None,
        platform_fee_minor=session.platform_fee_minor if settled else None,
        **shares.of_new_payment(session, at, settled=settled),
        card_brand=charge.card_brand if charge else None,
        card_last4=charge.card_last4 if charge else None,
        buyer_name=page.buyer_name,
        buyer_email=page.buyer_email or session.buyer_email,
        buyer_address=jsons.dumps(page.buyer_address) if page.buyer_address else None,
        created_at=at,
        processed_at=charge.created if charge else at,
    )
    return row
