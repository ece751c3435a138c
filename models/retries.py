"""How often, and when, a failed payment is tried again."""

from datetime import datetime, timedelta
from typing import Any

from paywindow.models import windows
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.settings import Settings


def allowed(session: PaymentSession, settings: Settings) -> int:
    """How many retries the session may have in all: ``PAYMENT_RETRY_LIMIT`` and those that an admin granted."""
    return int(settings.payment_retry_limit + session.retries_granted)


def left(session: PaymentSession, settings: Settings) -> int:
    """How many retries are left."""
    return max(0, allowed(session, settings) - session.retry_count)


def wait(session: PaymentSession, settings: Settings) -> timedelta:
    """The wait before the next retry: the list's entry for the retries so far, beyond its end the last one."""
    backoff = settings.payment_retry_backoff_minutes
    return timedelta(minutes=backoff[min(session.retry_count, len(backoff) - 1)])


def schedule(session: PaymentSession, attempt: CheckoutAttempt, settings: Settings, at: datetime) -> dict[str, Any]:
    """The columns to change when a payment has just failed: when to try again, or at once to close the page for good."""
    if left(session, settings) == 0:
        return {"retry_at": None, "due_at": at}
    retry_at = at + wait(session, settings)
    return {"retry_at": retry_at, "due_at": windows.next_due(session.expires_at, attempt, retry_at)}
