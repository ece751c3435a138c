"""Identifiers that must come out the same when the same thing is asked for again."""

import hashlib
import uuid
from typing import Any

from paywindow import jsons

_OPERATIONS = uuid.UUID("6f1c1a52-7d0b-4f6e-9a0e-0d5b0d8f3a11")


def operation_id(client: str, idempotency_key: str | None) -> uuid.UUID:
    """The id of a command: the same for the same client and key, random without a key (nothing to recognise it by)."""
    if idempotency_key is None:
        return uuid.uuid4()
    return uuid.uuid5(_OPERATIONS, f"{len(client)}:{client}:{idempotency_key}")


def fingerprint(kind: str, request: dict[str, Any]) -> str:
    """What a command asks for, in 64 hex digits; a repeated key with another fingerprint is refused."""
    return hashlib.sha256(jsons.canonical([kind, request]).encode()).hexdigest()


def customer_key(customer: uuid.UUID) -> str:
    """The idempotency key under which a buyer's Customer is created at Stripe."""
    return f"pw-customer-{customer}"


def checkout_key(session_id: uuid.UUID, attempt_number: int) -> str:
    """The idempotency key under which an attempt's Checkout Session is created at Stripe.

    One attempt, one key, frozen parameters: a replay can only return the same page
    (https://docs.stripe.com/api/idempotent_requests).
    """
    return f"pw-checkout-{session_id}-{attempt_number}"
