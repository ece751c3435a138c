"""The deadline: closing windows whose time is over, and replacing pages that die before their window does.

``window.due`` (sweep): pending or failed -> expired, and the auction is released. Stripe is asked first (``POST
/v1/checkout/sessions/{id}/expire``, idempotent by itself), and its answer decides: a page that was paid or submitted is
recorded as such, and only a page that can no longer be paid lets the window close. Before the deadline, a page that has
died is replaced: a new attempt of kind *roll* (``POST /v1/checkout/sessions`` under its own key). A second run finds the
session closed, or its page not dead.

While Stripe cannot be reached the session stays open here, shown as *closing*, and is looked at again later.
"""

import logging
import uuid
from datetime import timedelta

from paywindow import clock, metrics
from paywindow.actors.pages import claim_attempt, close_page, open_page, record_closed
from paywindow.actors.registry import actor
from paywindow.checkout import Checkout
from paywindow.errors import StripeUnavailable
from paywindow.models import analytics, moves, windows
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.states import PAYABLE, Event, Kind

logger = logging.getLogger(__name__)


@actor("window.due")
def due(session_id: str) -> None:
    """Look after one window."""
    identifier = uuid.UUID(session_id)
    with transaction():
        session = PaymentSession.get_or_none(PaymentSession.id == identifier)
        attempt = None if session is None else current_attempt(session)
        if session is None or attempt is None or not _needs_stripe(session, attempt):
            return
    try:
        if attempt.status == "claimed":
            # Nobody knows yet whether its page exists: find out, and close what there is.
            open_page(attempt)
            with transaction():
                attempt = CheckoutAttempt.get_by_id(attempt.id)
        page = close_page(attempt)
    except StripeUnavailable as error:
        logger.warning("window left for later: %s", error, extra={"session_id": session_id})
        with transaction():
            windows.postpone(session, clock.now())
        return
    with transaction():
        successor, late_by = _decide(identifier, attempt, page)
    if late_by is not None:
        metrics.WINDOW_LATENESS.observe(late_by.total_seconds())
        metrics.WINDOWS_EXPIRED.inc()
    if successor is not None:
        open_page(successor)


def _needs_stripe(session: PaymentSession, attempt: CheckoutAttempt) -> bool:
    """Whether the deadline has passed or the page has died; if not, the window is put back to its due time."""
    if session.status not in PAYABLE or session.hold_reason or session.released_at:
        return False
    now, due_at = clock.now(), windows.next_due(session.expires_at, attempt)
    if now >= due_at or attempt.status == "closed":
        return True
    windows.attend(session, due_at)
    return False


def _decide(
    session_id: uuid.UUID, attempt: CheckoutAttempt, page: Checkout | None
) -> tuple[CheckoutAttempt | None, timedelta | None]:
    """Move by what Stripe said: the attempt to open next, if any, and how late the window closed, if it did."""
    cause = Cause("system:window.due", clock.now())
    session = moves.lock_session(session_id)
    if session is None or record_closed(attempt, page, cause):
        return None, None
    session = PaymentSession.get_by_id(session_id)
    if session.attempt_number != attempt.number:
        return None, None
    if cause.at >= session.expires_at:
        closed = moves.apply(session, Event.WINDOW_CLOSED, cause).kind is Kind.MOVE
        if closed:
            analytics.track(analytics.CHECKOUT_EXPIRED, session, cause.at)
        return None, cause.at - session.expires_at if closed else None
    number = session.attempt_number + 1
    if (
        moves.apply(session, Event.PAGE_ROLLED, cause, attempt_number=number, due_at=session.expires_at).kind
        is Kind.PAST
    ):
        return None, None
    return claim_attempt(session, "roll", cause.at), None
