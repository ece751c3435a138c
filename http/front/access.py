"""Who is asking: a service key with the scope, or a buyer token of exactly this session."""

import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

from aiohttp import web

from paywindow.errors import Problem
from paywindow.front.context import FRONT, Front
from paywindow.front.snapshots import View
from paywindow.keys import Scope, ServiceKey, find_service_key

KEY_PREFIX = "pwk_"
_COOKIE_PREFIX = "pw_"
_DAY_MS = 86_400_000
#: More cookies than a buyer with several open purchases has; each costs a look at Redis.
_MAX_COOKIES = 20


def service_key(request: web.Request, *scopes: Scope) -> ServiceKey:
    """The service key of the request, which must have one of ``scopes``.

    Raises ``unauthenticated`` and ``forbidden``.
    """
    bearer = _bearer(request)
    if bearer is None or not bearer.startswith(KEY_PREFIX):
        raise Problem("unauthenticated", "Send a service key: Authorization: Bearer pwk_...")
    key = find_service_key(request.app[FRONT].settings.service_keys, bearer)
    if key is None:
        raise Problem("unauthenticated", "The service key is not known.")
    if key.scopes.isdisjoint(scopes):
        raise Problem("forbidden", f"The service key lacks the scope {' or '.join(scopes)}.")
    return key


def sends_service_key(request: web.Request) -> bool:
    """Whether the caller presents itself as the marketplace."""
    return (_bearer(request) or "").startswith(KEY_PREFIX)


def cookie_name(session_id: uuid.UUID) -> str:
    """The cookie that holds a session's buyer token: one each, so that a buyer may have several purchases open."""
    return f"{_COOKIE_PREFIX}{session_id.hex}"


async def buyer_view(request: web.Request, session_id: uuid.UUID) -> View:
    """The session, for the buyer whose token the request carries (header, query or cookie).

    Raises ``unauthenticated`` for a token that is missing, forged, another session's, or over; then what reading
    raises.
    """
    front = request.app[FRONT]
    if session_id not in token_sessions(request, session_id):
        raise Problem("unauthenticated", "A service key, or the buyer token of this session, is needed.")
    view = await front.snapshots.read(session_id)
    if not still_good(front, view):
        raise Problem("unauthenticated", "The buyer token has expired.")
    return view


async def buyer_command(request: web.Request, session_id: uuid.UUID) -> str:
    """The client of what the session's buyer asks for.

    Raises what :func:`buyer_view` raises, and ``forbidden`` when another site sends the buyer's browser here. The cookie's
    ``SameSite`` keeps other sites out already, but not the subdomains of the front end's own.
    """
    await buyer_view(request, session_id)
    if _explicit_token(request) is None and not _from_our_page(request):
        raise Problem("forbidden", "Only the buyer's own page may ask for this.")
    return buyer_client(session_id)


def _from_our_page(request: web.Request) -> bool:
    """Whether a browser that came with a cookie was sent by our own page.

    Browsers say so in ``Sec-Fetch-Site``, older ones in the ``Origin`` of a POST; what sends neither is no browser.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    parts = urlsplit(request.app[FRONT].public)
    return request.headers.get("Origin", "") in ("", f"{parts.scheme}://{parts.netloc}")


async def operation_client(request: web.Request) -> str:
    """Whose operations the request may see: the service key's, or those of the session that the buyer token opens.

    Raises ``unauthenticated`` and ``forbidden``; ``unauthenticated`` also for cookies of several sessions, of which none is
    meant.
    """
    if sends_service_key(request):
        return service_key(request, *Scope).name
    sessions = token_sessions(request)
    if len(sessions) != 1:
        raise Problem(
            "unauthenticated", "The service key or buyer token is needed that the operation was started with."
        )
    await buyer_view(request, sessions[0])
    return buyer_client(sessions[0])


def buyer_client(session_id: uuid.UUID) -> str:
    """A session's buyer as the client of operations: one each, so that buyers cannot meet in the same idempotency key.

    No service key can have this name: it has a colon.
    """
    return f"buyer:{session_id}"


def still_good(front: Front, view: View) -> bool:
    """Whether a buyer token still opens the session: until its window as it now stands, plus the configured days."""
    return time.time() * 1000 <= token_ends_ms(front, view)


def token_ends_ms(front: Front, view: View) -> int:
    """When the session's buyer tokens are over, in Unix milliseconds."""
    return view.expires_ms + front.settings.buyer_token_days * _DAY_MS


def token_sessions(request: web.Request, session_id: uuid.UUID | None = None) -> list[uuid.UUID]:
    """The sessions that the request's valid buyer tokens open; with ``session_id``, only that session's cookie is
    read."""
    tokens = request.app[FRONT].tokens
    opened = (tokens.session_id(text) for text in _presented(request, session_id))
    return list(dict.fromkeys(each for each in opened if each is not None))


def _presented(request: web.Request, session_id: uuid.UUID | None) -> Iterator[str]:
    # An explicit token is what the caller means; cookies come along by themselves.
    explicit = _explicit_token(request)
    if explicit is not None:
        yield explicit
        return
    if session_id is not None:
        yield request.cookies.get(cookie_name(session_id), "")
        return
    yield from [text for name, text in request.cookies.items() if name.startswith(_COOKIE_PREFIX)][:_MAX_COOKIES]


def _explicit_token(request: web.Request) -> str | None:
    return _bearer(request) or request.query.get("token") or None


def _bearer(request: web.Request) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    credentials = credentials.strip()
    # Keys and tokens are ASCII; anything else could not even be hashed for the comparison.
    return credentials if scheme.lower() == "bearer" and credentials.isascii() and credentials else None
