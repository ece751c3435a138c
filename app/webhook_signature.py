"""Stripe's webhook signature, checked without Stripe's SDK: by the front end, before anything else looks at the body.

The scheme (https://docs.stripe.com/webhooks#verify-manually): ``Stripe-Signature: t=<unix
time>,v1=<hex>[,v1=<hex>]``, each ``v1`` an HMAC-SHA256 over ``<t>.<raw body>``. While a signing secret is rolled,
Stripe signs with both, so several secrets and several ``v1`` are normal. Unlike the SDK, a timestamp from the future
is refused just as an old one is, and whatever a stranger puts into the header ends in :class:`InvalidSignature`,
nothing else.
"""

import hmac
from collections.abc import Sequence
from enum import StrEnum

from paywindow.errors import PaywindowError

HEADER = "Stripe-Signature"
SCHEME = "v1"

_MAX_HEADER_CHARACTERS = 4096
_MAX_TIMESTAMP_DIGITS = 12


class Reason(StrEnum):
    """Why a signature was refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    NO_MATCH = "no_match"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"


_SENTENCES = {
    Reason.MISSING: f"The {HEADER} header is missing.",
    Reason.MALFORMED: f"The {HEADER} header does not have the form t=...,v1=....",
    Reason.NO_MATCH: "No signature was made with a known secret over this body.",
    Reason.TOO_OLD: "The signature is right, but older than the tolerance.",
    Reason.IN_FUTURE: "The signature is right, but its time lies further in the future than the tolerance.",
}


class InvalidSignature(PaywindowError):
    """The body cannot be trusted; ``reason`` says why, without any part of the header or a secret."""

    def __init__(self, reason: Reason):
        super().__init__(_SENTENCES[reason])
        self.reason = reason


def verify(body: bytes, header: str | None, secrets: Sequence[str], *, tolerance_seconds: int, now: float) -> int:
    """Check a signature over the raw body; return the index of the secret that made it.

    ``now`` is real Unix time in seconds. The timestamp may differ from it by ``tolerance_seconds`` either way, and is
    looked at only once the signature is known to be right. Every secret is compared with every ``v1``, in constant
    time.

    Raises :class:`InvalidSignature`.
    """
    if not header:
        raise InvalidSignature(Reason.MISSING)
    timestamp, signatures = _parse(header)
    signed = timestamp.encode() + b"." + body
    index = _matching(signed, signatures, secrets)
    if index is None:
        raise InvalidSignature(Reason.NO_MATCH)
    if int(timestamp) < now - tolerance_seconds:
        raise InvalidSignature(Reason.TOO_OLD)
    if int(timestamp) > now + tolerance_seconds:
        raise InvalidSignature(Reason.IN_FUTURE)
    return index


def _parse(header: str) -> tuple[str, list[bytes]]:
    """The timestamp as it was written (it is part of what was signed) and the ``v1`` signatures; other schemes are
    skipped."""
    if not header.isascii() or len(header) > _MAX_HEADER_CHARACTERS:
        raise InvalidSignature(Reason.MALFORMED)
    pairs = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value.encode() for name, _, value in pairs if name == SCHEME]
    if len(timestamps) != 1 or not signatures:
        raise InvalidSignature(Reason.MALFORMED)
    if not timestamps[0].isdigit() or len(timestamps[0]) > _MAX_TIMESTAMP_DIGITS:
        raise InvalidSignature(Reason.MALFORMED)
    return timestamps[0], signatures


def _matching(signed: bytes, signatures: Sequence[bytes], secrets: Sequence[str]) -> int | None:
    found = None
    for index, secret in enumerate(secrets):
        expected = _hmac(signed, secret).encode()
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and found is None:
                found = index
    return found


def _hmac(signed: bytes, secret: str) -> str:
    return hmac.digest(secret.encode(), signed, "sha256").hex()
