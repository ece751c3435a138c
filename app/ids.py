"""Identifiers: those that must come out the same when the same thing is asked for again, and those that only have to be new."""

import hashlib
import random
import uuid
from typing import Any

from paywindow import jsons

_OPERATIONS = uuid.UUID("6f1c1a52-7d0b-4f6e-9a0e-0d5b0d8f3a11")


def operation_id(client: str, idempotency_key: str | None) -> uuid.UUID:
    """The id of a command: the same for the same client and key, random without a key (nothing to recognise it by)."""
    if idempotency_key is None:
        return uuid.uuid4()
    return uuid.uuid5(_OPERATIONS, f"{len(client)}:{client}:{idempotency_key}")


def unique() -> str:
    """A random UUID for messages and log lines. Not a secret: whoever has seen many can tell the next.

    :func:`uuid.uuid4` asks the system each time, which takes longer than all the rest of it. Python seeds its own generator anew
    in a process that was forked.
    """
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


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


def account_key(maker_id: uuid.UUID, generation: int) -> str:
    """The key under which a maker's account is opened at Stripe: one account, whatever crashes."""
    return f"pw-account-{maker_id}-{generation}"


def account_link_key(operation_id: uuid.UUID, tries: int) -> str:
    """The key under which a command mints its onboarding link, by how often the command was taken up again."""
    return f"pw-account-link-{operation_id}-{tries}"


def movement_key(transaction_id: uuid.UUID, number: int) -> str:
    """The key under which money is sent to a seller, or taken back."""
    return f"pw-movement-{transaction_id}-{number}"
