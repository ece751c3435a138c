"""Who may ask for what: the marketplace's service keys and the buyers' tokens.

A *service key* is a random secret that the marketplace sends as ``Authorization: Bearer pwk_...``; settings hold only its
SHA-256, a name and its scopes. A *buyer token* opens one payment session and nothing else; it carries the session's id and
a signature. It has no expiry of its own: it is good until the session's window, as it now stands, plus some days.
"""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from itsdangerous import BadSignature, Signer

_TOKEN_SALT = b"paywindow.buyer-token.v1"


class Scope(StrEnum):
    """What a service key may do."""

    CHECKOUT = "checkout"
    READ = "read"
    REFUND = "refund"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """One configured key: ``name:scope+scope:sha256hex``. The name is the *client* of its operations."""

    name: str
    scopes: frozenset[Scope]
    sha256: str

    @classmethod
    def parse(cls, text: str) -> "ServiceKey":
        """Read one entry of ``SERVICE_KEYS``. Raises :class:`ValueError` naming what is wrong, without the hash."""
        name, _, rest = text.strip().partition(":")
        scopes, _, digest = rest.partition(":")
        if not name or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError("each entry is name:scope+scope:sha256, the name of letters, digits, - and _")
        known = {scope.value for scope in Scope}
        wanted = scopes.split("+")
        if unknown := [scope for scope in wanted if scope not in known]:
            raise ValueError(f"key {name!r}: unknown scope {unknown[0]!r} (one of {', '.join(sorted(known))})")
        if len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
            raise ValueError(f"key {name!r}: the third part must be the key's SHA-256 in 64 lower-case hex digits")
        return cls(name, frozenset(Scope(scope) for scope in wanted), digest)


def new_service_key() -> str:
    """A fresh random key, 256 bits, recognisable by its prefix."""
    return "pwk_" + secrets.token_urlsafe(32)


def new_buyer_secret() -> str:
    """A fresh secret for signing buyer tokens, 256 bits."""
    return secrets.token_urlsafe(32)


def hash_service_key(key: str) -> str:
    """SHA-256 in hex. The key is random and long, so a slow password hash would only slow every request down."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_service_key(keys: Iterable[ServiceKey], presented: str) -> ServiceKey | None:
    """The configured key that was presented, compared in constant time; ``None`` when there is none."""
    digest = hash_service_key(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


class BuyerTokens:
    """Signs and reads buyer tokens. ``secrets`` is ordered newest first: the first signs, all are accepted."""

    def __init__(self, secrets: Sequence[str]):
        if not secrets:
            raise ValueError("at least one secret is needed")
        self._signer = Signer(
            [secret.encode() for secret in reversed(secrets)],
            salt=_TOKEN_SALT,
            digest_method=hashlib.sha256,
            key_derivation="hmac",
        )

    def issue(self, session_id: uuid.UUID) -> str:
        """The token of a session: ``<32 hex digits>.<signature>``, safe in a URL."""
        return self._signer.sign(session_id.hex.encode()).decode()

    def session_id(self, token: str) -> uuid.UUID | None:
        """The session that a token opens, or ``None`` when the signature does not verify."""
        try:
            return uuid.UUID(hex=self._signer.unsign(token.encode()).decode())
        except (BadSignature, ValueError):
            return None
