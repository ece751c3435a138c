"""Analytics events, with the names and properties of the seed; sent by the outbox, so that each is told at least once."""

from datetime import datetime

from paywindow.models import outbox
from paywindow.models.tables import PaymentSession
from paywindow.money import Money

CHECKOUT_STARTED = "payments.checkout.started"
CHECKOUT_COMPLETED = "payments.checkout.completed"
RETRY_INITIATED = "payments.retry.initiated"
CHECKOUT_EXPIRED = "payments.checkout.expired"
RECEIPT_GENERATED = "payments.receipt.generated"


def track(event: str, session: PaymentSession, at: datetime, **more: str | int) -> None:
    """Tell of ``event`` once the current transaction has committed.

    The marketplace's id of the buyer is all that is said of a person. Amounts are decimal texts; ``amount_usd`` is there for
    sessions in US dollars only, since nothing here converts.
    """
    amount = str(Money(session.amount_minor, session.currency).decimal())
    properties = {
        "payment_session_id": str(session.id),
        "auction_id": str(session.auction_id),
        "amount": amount,
        "currency": session.currency,
        **({"amount_usd": amount} if session.currency == "USD" else {}),
        **more,
    }
    outbox.follow_up(
        "analytics.track",
        at,
        event=event,
        occurred_at=at.isoformat(),
        properties=properties,
        user_id=str(session.buyer_id),
    )
