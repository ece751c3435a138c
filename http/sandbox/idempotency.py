"""``Idempotency-Key`` as Stripe handles it (https://docs.stripe.com/api/idempotent_requests).

POST only. Once execution has begun, the answer is kept and replayed, errors and 500s included. What failed validation,
conflicted or was rate limited is not kept. Keys age by business time and are forgotten after a day.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from paywindow.sandbox.errors import StripeError

KEPT_SECONDS = 24 * 3600
MAXIMUM_LENGTH = 255

Fingerprint: TypeAlias = tuple[str, str]
"""Path and canonical parameters of a request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What went out: status, JSON text and headers; ``request_id`` of the request that did the work."""

    status: int
    body: bytes
    request_id: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    fingerprint: Fingerprint
    started: int
    answer: Answer | None = None


@dataclass(slots=True)
class IdempotencyKeys:
    """Keys of one account."""

    _entries: dict[str, _Kept] = field(default_factory=dict)

    def begin(self, key: str, fingerprint: Fingerprint, now: int) -> Answer | None:
        """Claim a key, or return the answer to replay.

        Raises StripeError: 400 for a key that is too long or came with other parameters, 409 while it is in flight.
        """
        if len(key) > MAXIMUM_LENGTH:
            raise StripeError(
                f"Idempotency keys may only be up to {MAXIMUM_LENGTH} characters.", kind="idempotency_error"
            )
        kept = self._entries.get(key)
        if kept is None or kept.started + KEPT_SECONDS <= now:
            self._entries[key] = _Kept(fingerprint, now)
            return None
        if kept.fingerprint != fingerprint:
            raise _other_parameters(key, kept.fingerprint[0])
        if kept.answer is None:
            raise _in_flight(key)
        return kept.answer

    def finish(self, key: str, answer: Answer) -> None:
        """Keep the answer of a request that was executed."""
        if key in self._entries:
            self._entries[key].answer = answer

    def clear(self) -> None:
        """Forget all keys."""
        self._entries.clear()

    def abandon(self, key: str) -> None:
        """Free a key whose request was refused before execution."""
        self._entries.pop(key, None)


def _other_parameters(key: str, path: str) -> StripeError:
    return StripeError(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a "
        f"key other than '{key}' if you meant to execute a different request. The first was sent to {path}.",
        kind="idempotency_error",
    )


def _in_flight(key: str) -> StripeError:
    return StripeError(
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        f"twice, and the other request is still going through): {key}. Please try again later.",
        status=409,
        kind="idempotency_error",
        code="idempotency_key_in_use",
    )
