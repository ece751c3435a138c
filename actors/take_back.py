"""An expired session turned out to be paid in time, and the next bidder's session of the auction is open (money rule 5).

``payment.take_back`` (outbox of the payment): the next bidder's page is closed first (``POST
/v1/checkout/sessions/{id}/expire``, idempotent by itself); then, in one transaction, that session is expired and this one
completed. If the other page is found paid, or its session was settled meanwhile, the first settled stays and this payment is
given back. A second run finds the payment settled or on its way back. While Stripe cannot be reached nothing is decided; the
outbox sends the message again.
"""

import uuid
from dataclasses import replace

from paywindow import clock
from paywindow.actors.pages import close_page, record_closed
from paywindow.actors.payment import issue_credit_notes, take
from paywindow.actors.registry import actor
from paywindow.errors import Permanent
from paywindow.models import moves, outbox, refunds
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Transaction
from paywindow.states import Event, Kind, Status


@actor("payment.take_back")
def take_back(transaction_id: str, outbox_id: int | None = None) -> None:
    """Settle a payment over the next bidder's open session."""
    identifier, cause = uuid.UUID(transaction_id), Cause("system:payment.take_back", clock.now())
    with transaction():
        attempt = _decide(identifier, cause, None, outbox_id)
    if attempt is None:
        return
    page = close_page(attempt)
    cause = replace(cause, at=clock.now())
    with transaction():
        record_closed(attempt, page, cause)
        if _decide(identifier, cause, attempt, outbox_id) is not None:
            raise moves.Stale(f"the session that stands against payment {identifier} has another page now")


def _decide(
    transaction_id: uuid.UUID, cause: Cause, closed: CheckoutAttempt | None, outbox_id: int | None
) -> CheckoutAttempt | None:
    """Settle the payment or give it back; or return the attempt whose page stands against that and is not ``closed``."""
    row: Transaction = Transaction.get_by_id(transaction_id)
    session = moves.lock_session(row.session_id)
    row = Transaction.get_by_id(transaction_id)
    if session is None:
        raise Permanent(f"payment {transaction_id} has no payment session")
    if row.settled_at is None and refunds.left(row) > 0:
        owner = moves.unreleased_of(session.auction_id)
        if session.status == Status.COMPLETED or (owner is not None and owner.status == Status.COMPLETED):
            take(session, row, Event.PAID_TWICE, cause)
        elif owner is None or owner.id == session.id:
            _settle(session, row, cause)
        else:
            standing = _standing(owner, closed)
            if standing is not None:
                return standing
            moves.apply(moves.lock_session(owner.id) or owner, Event.SUPERSEDED, cause)
            _settle(session, row, cause)
    outbox.done(outbox_id)
    return None


def _standing(owner: PaymentSession, closed: CheckoutAttempt | None) -> CheckoutAttempt | None:
    """The current page of the auction's owner, unless it is known to be closed.

    One that is still being opened finds its session expired when Stripe's answer comes, and is closed then.
    """
    attempt = current_attempt(owner)
    if attempt is None or (closed is not None and attempt.id == closed.id):
        return None
    return attempt if attempt.status == "open" else None


def _settle(session: PaymentSession, row: Transaction, cause: Cause) -> None:
    current = current_attempt(session)
    if take(session, row, Event.PAID, cause).kind is Kind.MOVE:
        issue_credit_notes(row, cause.at)
    if current is not None and current.id != row.attempt_id and current.status == "open":
        # The window was opened again meanwhile.
        outbox.follow_up("checkout.close_page", cause.at, attempt_id=str(current.id))
