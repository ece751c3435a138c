"""Every message that may lie in a queue: which actor gets it, in which queue it waits, and what it carries.

A message is a hint; the row in Postgres is the truth. It carries ids and small values, with one exception: a verified
webhook body travels whole. Actor names are explicit and stay: renaming one strands what is queued under the old name.
"""

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dramatiq import Message

from paywindow import ids

#: The option of a message that says when it was put into the queue where it now lies, in Unix milliseconds; without it, that
#: was when it was made (``message_timestamp``).
QUEUED_AT = "queued_at"


class Queue(StrEnum):
    """A class of work. A process serves the queues of its role (see :data:`ROLES`), so that none waits for another."""

    INTERACTIVE = "interactive"
    EVENTS = "events"
    FOLLOW_UPS = "follow-ups"
    SWEEPS = "sweeps"
    WINDOWS = "windows"
    RECEIPT_NUMBERS = "receipt-numbers"
    RECEIPTS = "receipts"
    DELIVERIES = "deliveries"


#: Worker roles: one master process each. Somebody waits for ``interactive``; sweeps, PDFs and other people's servers may
#: take their time.
ROLES: dict[str, tuple[Queue, ...]] = {
    "interactive": (Queue.INTERACTIVE, Queue.EVENTS, Queue.FOLLOW_UPS),
    "sweeps": (Queue.SWEEPS, Queue.WINDOWS),
    "receipts": (Queue.RECEIPT_NUMBERS, Queue.RECEIPTS, Queue.DELIVERIES),
}

#: Which queue each actor listens on.
ACTORS: dict[str, Queue] = {
    "checkout.create": Queue.INTERACTIVE,
    "checkout.open": Queue.WINDOWS,
    "checkout.cancel": Queue.INTERACTIVE,
    "operations.find": Queue.INTERACTIVE,
    "receipts.locate": Queue.INTERACTIVE,
    "sessions.find": Queue.INTERACTIVE,
    "checkout.close_page": Queue.FOLLOW_UPS,
    "disputes.read": Queue.FOLLOW_UPS,
    "methods.list": Queue.INTERACTIVE,
    "methods.detach": Queue.INTERACTIVE,
    "methods.refresh": Queue.FOLLOW_UPS,
    "payment.retry": Queue.INTERACTIVE,
    "payment.grant_retry": Queue.INTERACTIVE,
    "payment.refund": Queue.INTERACTIVE,
    "payment.resolve": Queue.INTERACTIVE,
    "payment.take_back": Queue.FOLLOW_UPS,
    "refunds.make": Queue.FOLLOW_UPS,
    "window.due": Queue.WINDOWS,
    "window.expire": Queue.INTERACTIVE,
    "window.extend": Queue.INTERACTIVE,
    "window.reopen": Queue.INTERACTIVE,
    "sellers.link": Queue.INTERACTIVE,
    "sellers.find": Queue.INTERACTIVE,
    "sellers.refresh": Queue.FOLLOW_UPS,
    "sellers.settle_up": Queue.FOLLOW_UPS,
    "figures.read": Queue.FOLLOW_UPS,
    "events.receive": Queue.EVENTS,
    "events.handle": Queue.EVENTS,
    # Not with the events: an operator waits for it.
    "events.replay": Queue.INTERACTIVE,
    "publish.session": Queue.FOLLOW_UPS,
    "publish.operation": Queue.INTERACTIVE,
    "notifications.deliver": Queue.FOLLOW_UPS,
    # Servers that are not ours may hang.
    "notifications.send": Queue.DELIVERIES,
    "analytics.track": Queue.DELIVERIES,
    "notifications.replay": Queue.INTERACTIVE,
    # Not with the settlements: whoever waits for a series' counter must not keep a payment waiting.
    "receipts.issue": Queue.RECEIPT_NUMBERS,
    "receipts.issue_statement": Queue.RECEIPT_NUMBERS,
    "receipts.issue_credit_note": Queue.RECEIPT_NUMBERS,
    "receipts.render": Queue.RECEIPTS,
    "sweeps.outbox": Queue.SWEEPS,
    "sweeps.inbox": Queue.SWEEPS,
    "sweeps.attempts": Queue.SWEEPS,
    "sweeps.operations": Queue.SWEEPS,
    "sweeps.refunds": Queue.SWEEPS,
    "sweeps.windows": Queue.SWEEPS,
    "sweeps.window_mirror": Queue.SWEEPS,
    "sweeps.stripe_events": Queue.SWEEPS,
    "sweeps.reconciliation": Queue.SWEEPS,
    "sweeps.sellers": Queue.SWEEPS,
    "sweeps.notifications": Queue.SWEEPS,
    "sweeps.measure": Queue.SWEEPS,
    "sweeps.card_numbers": Queue.SWEEPS,
    "sweeps.synthetic_purchase": Queue.SWEEPS,
}


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What the marketplace asks for, validated and normalised by the front end. Amounts in minor units."""

    auction_id: str
    buyer_id: str
    amount_minor: int
    currency: str
    late_policy: str
    window_minutes: int
    maker_id: str | None = None
    platform_fee_minor: int | None = None
    description: str | None = None
    buyer_email: str | None = None
    locale: str | None = None
    return_url: str | None = None
    cancel_url: str | None = None

    def asdict(self) -> dict[str, Any]:
        """Plain JSON values, for the message, the fingerprint and the operation's row."""
        return asdict(self)


def build(actor: str, /, **kwargs: Any) -> Message[Any]:
    """A message for the actor of that name. Raises :class:`KeyError` for a name that is not in :data:`ACTORS`."""
    return Message(
        queue_name=ACTORS[actor], actor_name=actor, args=(), kwargs=kwargs, options={}, message_id=ids.unique()
    )


def create_checkout(operation_id: uuid.UUID, client: str, fingerprint: str, request: CheckoutRequest) -> Message[Any]:
    """Open a payment session for an auction's winner."""
    return build(
        "checkout.create",
        operation_id=str(operation_id),
        client=client,
        fingerprint=fingerprint,
        request=request.asdict(),
    )


def command(
    actor: str, operation_id: uuid.UUID, client: str, fingerprint: str, request: dict[str, Any]
) -> Message[Any]:
    """A command about something that exists, by the actor's name.

    ``request`` always has ``session_id`` (replays: ``event_id``; ``notification_id``, and ``sink`` or ``None``) and ``reason``.
    Beside them, extend and reopen have ``minutes`` or ``until`` (ISO 8601), resolve has ``decision`` (accept, refund), and
    refund has ``transaction_id`` (or ``session_id``; the other is ``None``), ``amount`` (a decimal in the payment's currency as
    text, or ``None`` for the rest) and ``release_auction``.
    """
    return build(actor, operation_id=str(operation_id), client=client, fingerprint=fingerprint, request=request)


def link_seller(operation_id: uuid.UUID, client: str, fingerprint: str, request: dict[str, Any]) -> Message[Any]:
    """Open a maker's account at Stripe, if there is none, and mint an onboarding link.

    ``request``: ``maker_id``, ``return_url``, ``refresh_url``, and ``country`` and ``email`` or ``None``.
    """
    return build(
        "sellers.link", operation_id=str(operation_id), client=client, fingerprint=fingerprint, request=request
    )


def find_seller(reply_id: uuid.UUID, maker_id: uuid.UUID) -> Message[Any]:
    """Ask how a maker's account at Stripe stands."""
    return build("sellers.find", reply_id=str(reply_id), maker_id=str(maker_id))


def receive_event(body: str, received_at: datetime) -> Message[Any]:
    """A webhook body whose signature was verified, exactly as it came, and when (business time)."""
    return build("events.receive", body=body, received_at=received_at.isoformat())


def publish_session(session_id: uuid.UUID) -> Message[Any]:
    """Write the session's snapshot to Redis (again)."""
    return build("publish.session", session_id=str(session_id))


def find_operation(reply_id: uuid.UUID, operation_id: uuid.UUID, client: str) -> Message[Any]:
    """Ask how an operation stands when its outcome is not (or no longer) in Redis.

    The reply is the outcome itself, a 202 while there is none, or a 404 for another client's or an unknown one.
    """
    return build("operations.find", reply_id=str(reply_id), operation_id=str(operation_id), client=client)


def locate_receipt(
    reply_id: uuid.UUID, receipt_id: uuid.UUID, session_id: uuid.UUID | None, download_by: str | None = None
) -> Message[Any]:
    """Ask for a receipt's metadata and a short-lived download URL.

    ``session_id`` limits the answer to what that session's buyer may see. ``download_by``: who is about to be sent to the URL,
    for the record of downloads; without it there is none in the answer.
    """
    return build(
        "receipts.locate",
        reply_id=str(reply_id),
        receipt_id=str(receipt_id),
        session_id=str(session_id) if session_id else None,
        download_by=download_by,
    )


def list_methods(reply_id: uuid.UUID, buyer_id: uuid.UUID) -> Message[Any]:
    """Ask for the payment methods that a buyer keeps."""
    return build("methods.list", reply_id=str(reply_id), buyer_id=str(buyer_id))


def detach_method(operation_id: uuid.UUID, client: str, fingerprint: str, request: dict[str, Any]) -> Message[Any]:
    """Take a payment method from its buyer; ``request`` has ``method_id`` and ``buyer_id``."""
    return build(
        "methods.detach", operation_id=str(operation_id), client=client, fingerprint=fingerprint, request=request
    )


def find_sessions(reply_id: uuid.UUID, query: dict[str, Any]) -> Message[Any]:
    """Ask for a page of sessions, newest first.

    ``query``: ``limit``, and what may be ``None`` or left out: ``status`` (a list), ``auction_id``, ``buyer_id``, ``maker_id``,
    ``held``, ``created_from`` and ``created_before`` (ISO 8601), ``cursor``.
    """
    return build("sessions.find", reply_id=str(reply_id), query=query)
