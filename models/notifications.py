"""What the marketplace is told: one row a fact, written with the fact, delivered by the outbox.

Payloads have the shape of Standard Webhooks (https://www.standardwebhooks.com): ``type``, ``timestamp``, ``data``.
"""

import uuid
from datetime import datetime
from typing import Any

from paywindow import clock, jsons
from paywindow.models import outbox
from paywindow.models.tables import Notification, PaymentSession
from paywindow.money import Money
from paywindow.states import Answer, Kind, Status

_OF_STATUS = {
    Status.PROCESSING: "payment.processing",
    Status.COMPLETED: "payment.completed",
    Status.FAILED: "payment.failed",
    Status.EXPIRED: "payment.expired",
    Status.CANCELED: "payment.canceled",
}


def announce_move(session: PaymentSession, answer: Answer, at: datetime, *, released: bool) -> None:
    """Tell of a move or a hold; an event that leaves the status as it is says nothing new."""
    if answer.kind is Kind.HOLD:
        announce("payment.held", session, at)
    elif answer.status is not None and answer.status in _OF_STATUS:
        announce(_OF_STATUS[answer.status], session, at)
    if released:
        announce("auction.released", session, at)


def announce(kind: str, session: PaymentSession, at: datetime, **more: Any) -> None:
    """Write one notification and have it delivered; ``more`` is added to its data."""
    payload = {"type": kind, "timestamp": clock.isoformat(at), "data": {**_facts(session), **more}}
    row = Notification.create(
        id=uuid.uuid4(), session=session.id, type=kind, payload=jsons.dumps(payload), created_at=at
    )
    outbox.follow_up("notifications.deliver", at, notification_id=str(row.id))


def _facts(session: PaymentSession) -> dict[str, Any]:
    return {
        "paymentSessionId": str(session.id),
        "auctionId": str(session.auction_id),
        "buyerId": str(session.buyer_id),
        "status": session.status,
        "amount": Money(session.amount_minor, session.currency).decimal(),
        "currency": session.currency,
        "version": session.version,
        "failure": {"code": session.failure_code, "message": session.failure_message} if session.failure_code else None,
        "hold": session.hold_reason,
        "expiresAt": clock.isoformat(session.expires_at),
    }
