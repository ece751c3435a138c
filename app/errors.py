"""What can go wrong, in two families.

::

    PaywindowError
    ├── Problem            an answer to the caller: RFC 9457 problem+json with a stable ``code``
    ├── Transient          try the same thing again soon (Stripe timed out, a lock was held, the order was wrong)
    │   └── StripeUnavailable
    └── Permanent          trying again cannot help (Stripe refused, a message is malformed)
        └── StripeRefused

Actors raise; one middleware (:mod:`paywindow.broker`) decides about retries from the family alone.
"""

from http import HTTPStatus
from typing import Any


class PaywindowError(Exception):
    """Base of all errors raised on purpose."""


class Transient(PaywindowError):
    """The same call may work in a moment; the message is retried, and a sweep owns what takes longer."""


class StripeUnavailable(Transient):
    """Stripe could not be reached, failed (5xx), was busy (429, lock) or timed out: the outcome may be unknown."""


class Permanent(PaywindowError):
    """The same call will fail the same way; the message goes to the dead letters at once."""


class StripeRefused(Permanent):
    """Stripe answered, and the answer is no. ``code`` and ``param`` are Stripe's own."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int | None = None):
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status


#: Every error code of the API: its HTTP status and title. Codes are stable; titles may be reworded.
PROBLEMS: dict[str, tuple[HTTPStatus, str]] = {
    "invalid_request": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request breaks a rule"),
    "malformed_json": (HTTPStatus.BAD_REQUEST, "The body is not JSON"),
    "invalid_header": (HTTPStatus.BAD_REQUEST, "A header breaks a rule"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The content type is not supported"),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    "unauthenticated": (HTTPStatus.UNAUTHORIZED, "A valid key or token is needed"),
    "forbidden": (HTTPStatus.FORBIDDEN, "The key or token does not allow this"),
    "not_found": (HTTPStatus.NOT_FOUND, "There is no such thing"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here"),
    "invalid_signature": (HTTPStatus.BAD_REQUEST, "The webhook signature does not verify"),
    "invalid_event": (HTTPStatus.BAD_REQUEST, "The signed body is not a Stripe event"),
    "idempotency_key_reused": (HTTPStatus.CONFLICT, "The idempotency key was used with another request"),
    "auction_taken": (HTTPStatus.CONFLICT, "The auction already has an open payment session"),
    "already_paid": (HTTPStatus.CONFLICT, "The payment session is paid"),
    "payment_processing": (HTTPStatus.CONFLICT, "A payment is being processed"),
    "session_expired": (HTTPStatus.CONFLICT, "The payment window has closed"),
    "not_failed": (HTTPStatus.CONFLICT, "The payment has not failed"),
    "retry_limit_reached": (HTTPStatus.CONFLICT, "No tries are left"),
    "retry_under_way": (HTTPStatus.CONFLICT, "Another try is under way"),
    "session_canceled": (HTTPStatus.CONFLICT, "The payment session is canceled"),
    "session_open": (HTTPStatus.CONFLICT, "The payment window is open"),
    "session_held": (HTTPStatus.CONFLICT, "The payment session is held for an operator"),
    "not_held": (HTTPStatus.CONFLICT, "The payment session is not held"),
    "nothing_paid": (HTTPStatus.CONFLICT, "There is no payment"),
    "already_refunded": (HTTPStatus.CONFLICT, "The payment is refunded"),
    "refund_exceeds_payment": (HTTPStatus.CONFLICT, "More than is left of the payment would be refunded"),
    "payment_disputed": (HTTPStatus.CONFLICT, "The payment is disputed at the buyer's bank"),
    "refund_blocked": (HTTPStatus.CONFLICT, "The payment cannot be refunded for now"),
    "session_closed": (HTTPStatus.CONFLICT, "The payment session was closed before its page opened"),
    "seller_not_ready": (HTTPStatus.CONFLICT, "The seller cannot take payments yet"),
    "stripe_refused": (HTTPStatus.UNPROCESSABLE_ENTITY, "Stripe refused the request"),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The service cannot take the request right now"),
    "timed_out": (HTTPStatus.GATEWAY_TIMEOUT, "The answer did not come in time"),
}


class Problem(PaywindowError):
    """An RFC 9457 problem: ``Problem("auction_taken", "...", sessionId=...)``.

    ``code`` must be one of :data:`PROBLEMS`; extra members (for instance ``errors``: a list of ``{field, rule}``) go into
    the body as they are.
    """

    def __init__(self, code: str, detail: str, **extra: Any):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = extra
        self.status, self.title = PROBLEMS[code]

    def body(self) -> dict[str, Any]:
        """The problem+json document."""
        return {
            "type": f"urn:paywindow:problem:{self.code}",
            "title": self.title,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }
