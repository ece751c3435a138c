"""The timers of a session: its deadline, its retries, and the life of its page.

``window.due`` (sweep) finds out which of these is due and does it; Stripe is asked first, and its answer decides.

* **close**, the deadline has passed: pending or failed -> expired, and the auction is released, once the page cannot be paid
  (``POST /v1/checkout/sessions/{id}/expire``, idempotent by itself).
* **give up**, a payment failed and no retry is left: the page is closed; the session stays failed until its deadline.
* **retry**, ``retry_at`` has come: failed -> pending. The page is read again. Still open, it stays, since a buyer may be typing;
  dead, a new one is opened (attempt kind *retry*).
* **roll**, the page died before the window did: a new page (attempt kind *roll*), no retry counted.

A page that was paid or submitted is recorded as such, whichever of these was due. New pages come under their own attempt's
key. A second run finds the session moved on, or nothing due. While Stripe cannot be reached the session stays as it is,
shown as *closing* after its deadline, and is looked at again later.
"""

import logging
import uuid
from datetime import datetime, timedelta
from enum import Enum, auto

from paywindow import clock, metrics
from paywindow.actors.pages import claim_attempt, close_page, open_page, read_page, record_closed
from paywindow.actors.registry import actor
from paywindow.actors.retry import start_retry
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.models import analytics, moves, notifications, retries, windows
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.states import PAYABLE, Event, Kind, Status

logger = logging.getLogger(__name__)


class Step(Enum):
    """What is due."""

    CLOSE = auto()
    GIVE_UP = auto()
    RETRY = auto()
    ROLL = auto()


@actor("window.due")
def due(session_id: str) -> None:
    """Look after one session's timers."""
    identifier = uuid.UUID(session_id)
    with transaction():
        # Locked, because the next look may be written: a decline must not set a retry in between.
        session = moves.lock_session(identifier)
        attempt = None if session is None else current_attempt(session)
        step = None if session is None or attempt is None else _next_step(session, attempt)
    if session is None or attempt is None or step is None:
        return
    try:
        attempt, page = _ask_stripe(attempt, step)
    except (StripeUnavailable, StripeRefused) as error:
        # A refusal means that this key does not know the page: an operator's matter, and no reason to close anything unseen.
        logger.warning("left for later: %s", error, extra={"session_id": session_id})
        with transaction():
            windows.postpone(session, clock.now())
        return
    cause = Cause("system:window.due", clock.now())
    with transaction():
        successor = _carry_out(identifier, attempt, step, page, cause)
    if successor is not None:
        open_page(successor)


def _next_step(session: PaymentSession, attempt: CheckoutAttempt) -> Step | None:
    """What is due now; if nothing is, the session is put back to when something will be."""
    if not _has_timers(session):
        return None
    now = clock.now()
    if now >= session.expires_at:
        return Step.CLOSE
    dead = attempt.status in ("closed", "complete") or _has_ended(attempt, now)
    if session.status == Status.FAILED:
        if retries.left(session, runtime().settings) == 0:
            if attempt.status == "open":
                return Step.GIVE_UP
        elif session.retry_at is not None and now >= session.retry_at:
            return Step.RETRY
        windows.attend(session, windows.next_due(session.expires_at, None, session.retry_at))
    elif dead:
        return Step.ROLL
    else:
        windows.attend(session, windows.next_due(session.expires_at, attempt))
    return None


def _has_timers(session: PaymentSession) -> bool:
    return session.status in PAYABLE and session.hold_reason is None and session.released_at is None


def _has_ended(attempt: CheckoutAttempt, now: datetime) -> bool:
    return attempt.status == "open" and attempt.page_expires_at is not None and now >= attempt.page_expires_at


def _ask_stripe(attempt: CheckoutAttempt, step: Step) -> tuple[CheckoutAttempt, Checkout | None]:
    """The attempt's page as Stripe has it: closed, but for a retry, which leaves an open page alone."""
    if attempt.status == "claimed":
        # Nobody knows yet whether its page exists: find out, and close what there is.
        open_page(attempt)
        with transaction():
            attempt = CheckoutAttempt.get_by_id(attempt.id)
    return attempt, read_page(attempt) if step is Step.RETRY else close_page(attempt)


def _carry_out(
    session_id: uuid.UUID, attempt: CheckoutAttempt, step: Step, page: Checkout | None, cause: Cause
) -> CheckoutAttempt | None:
    """Move by what Stripe said; returns the attempt to open next, if any."""
    session = moves.lock_session(session_id)
    still_open = page is not None and page.status == "open"
    if session is None or (not still_open and record_closed(attempt, page, cause)):
        return None
    session = PaymentSession.get_by_id(session_id)
    if session.attempt_number != attempt.number or not _has_timers(session):
        return None
    # The deadline may have been moved, or have passed, since the step was chosen.
    if cause.at >= session.expires_at and not still_open:
        _close(session, cause)
    elif step is Step.GIVE_UP and session.status == Status.FAILED and retries.left(session, runtime().settings) == 0:
        moves.apply(session, Event.RETRIES_USED_UP, cause, due_at=session.expires_at)
    elif step is Step.RETRY and session.status == Status.FAILED:
        return _retry(session, attempt, page if still_open else None, cause)
    elif session.status == Status.PENDING and not still_open:
        number = session.attempt_number + 1
        moves.apply(session, Event.PAGE_ROLLED, cause, attempt_number=number, due_at=session.expires_at)
        return claim_attempt(session, "roll", cause.at)
    elif page is not None and not still_open:
        # The session goes on, because of what came in between: a later deadline, another retry granted.
        moves.touch(session.id, cause.at)
    return None


def _close(session: PaymentSession, cause: Cause) -> None:
    late_by: timedelta = cause.at - session.expires_at
    if moves.apply(session, Event.WINDOW_CLOSED, cause).kind is Kind.MOVE:
        analytics.track(analytics.CHECKOUT_EXPIRED, session, cause.at)
        metrics.WINDOW_LATENESS.observe(late_by.total_seconds())
        metrics.WINDOWS_EXPIRED.inc()


def _retry(
    session: PaymentSession, attempt: CheckoutAttempt, page: Checkout | None, cause: Cause
) -> CheckoutAttempt | None:
    """Try again: on the page that is still open, or, if it is dead, on a new one."""
    if page is not None and page.confirming:
        # The buyer is at the bank: whatever comes of it decides; look again a step later.
        later = cause.at + retries.wait(session, runtime().settings)
        PaymentSession.update(retry_at=later, due_at=windows.next_due(session.expires_at, attempt, later)).where(
            PaymentSession.id == session.id
        ).execute()
        moves.touch(session.id, cause.at)
        return None
    metrics.RETRY_ATTEMPTS.labels("timer").inc()
    successor = None
    if page is None:
        successor = start_retry(session, cause)
    else:
        _keep(session, attempt, cause)
    notifications.announce("payment.retry_available", session, cause.at, retryCount=session.retry_count)
    return successor


def _keep(session: PaymentSession, attempt: CheckoutAttempt, cause: Cause) -> None:
    count = session.retry_count + 1
    due_at = windows.next_due(session.expires_at, attempt)
    moves.apply(session, Event.RETRIED, cause, retry_count=count, retry_at=None, due_at=due_at)
    analytics.track(analytics.RETRY_INITIATED, session, cause.at, retry_count=count)
