"""What the API answers and what buyers read, built from rows."""

from datetime import timedelta
from typing import Any

from paywindow.actors.runtime import runtime
from paywindow.clock import isoformat
from paywindow.models.snapshots import page_url, public_session
from paywindow.models.tables import PaymentSession

NOT_POSSIBLE = "This payment is not possible. Please contact the marketplace."

# Codes from https://docs.stripe.com/declines/codes; what is not listed gets the general text, which never says why a card
# was reported lost or stolen.
_DECLINES = {
    "insufficient_funds": "The card does not have enough funds. Please use another card.",
    "expired_card": "The card has expired. Please use another card.",
    "incorrect_cvc": "The card's security code is not right. Please check it and try again.",
    "incorrect_number": "The card number is not right. Please check it and try again.",
    "processing_error": "The card could not be processed. Please try again in a moment.",
    "authentication_required": "The bank did not confirm the payment. Please try again or use another card.",
    "payment_intent_authentication_failure": "The bank did not confirm the payment. Please try again or use another card.",
}
_DECLINED = "The card was declined. Please use another card or ask your bank."
PAYMENT_DID_NOT_COME = "The payment was not confirmed. Please pay again."
PAYMENT_REFUNDED = "The payment could not be accepted and is refunded."


def who(client: str) -> str:
    """How the audit names the client of an operation: a service key's name cannot have a colon, the others do."""
    return client if client.startswith(("buyer:", "cli:")) else f"service:{client}"


def decline_text(code: str | None, decline_code: str | None) -> str:
    """Why the card was declined, in words for the buyer."""
    return _DECLINES.get(decline_code or "") or _DECLINES.get(code or "") or _DECLINED


def pay_url(session: PaymentSession) -> str:
    """The buyer's page, with the token that opens it; it stays while Checkout pages come and go."""
    token = runtime().tokens.issue(session.id)
    return f"{runtime().settings.public}/pay/{session.id}?token={token}"


def created(session: PaymentSession) -> dict[str, Any]:
    """The body of ``POST /payments/checkout/create``."""
    return {
        "paymentSession": public_session(session, page_url(session)),
        "paymentWindow": {
            "duration": duration(timedelta(minutes=session.window_minutes)),
            "expiresAt": isoformat(session.expires_at),
        },
        "payUrl": pay_url(session),
    }


def duration(length: timedelta) -> str:
    """``24:00:00``: hours (as many as there are), minutes, seconds."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"
