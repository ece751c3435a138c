"""Signing as Standard Webhooks does it (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

What is signed is ``id.timestamp.body``; a secret is ``whsec_`` and the base64 of 24 to 64 random bytes. While a secret is being
replaced there are two, and two signatures in one header: a receiver accepts the message when any of them is right.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Sequence

PREFIX = "whsec_"
SHORTEST_BYTES, LONGEST_BYTES = 24, 64


def new_secret() -> str:
    """A fresh secret of 256 random bits."""
    return PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def secret_bytes(text: str) -> bytes:
    """The key in a secret. Raises :class:`ValueError` with the rule that is broken, never with the secret."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST_BYTES <= len(key) <= LONGEST_BYTES:
        raise ValueError(
            f"must be {PREFIX} and the base64 of {SHORTEST_BYTES} to {LONGEST_BYTES} random bytes"
        ) from None
    return key


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery; ``timestamp`` is the moment of this try, in Unix seconds of the real clock."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(secret_bytes(secret), signed)}" for secret in secrets),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
