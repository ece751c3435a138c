"""Request headers with rules of their own: ``Idempotency-Key``, ``Prefer``, ``X-Request-Id``."""

import re

from aiohttp import web

from paywindow import ids
from paywindow.errors import Problem

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?\s*(?:;.*)?', re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def idempotency_key(request: web.Request) -> str | None:
    """The client's key for this command, if it sent one. Raises ``invalid_header``."""
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    if len(values) > 1 or not _VISIBLE_ASCII.fullmatch(values[0]):
        raise Problem("invalid_header", "Idempotency-Key must be 1 to 255 visible ASCII characters, sent once.")
    return values[0]


def preferred_wait(request: web.Request) -> int | None:
    """The seconds of ``Prefer: wait=N`` (RFC 7240, 4.3); the first one counts, and what cannot be read is ignored
    (section 2)."""
    preferences = [part.strip() for value in request.headers.getall("Prefer", []) for part in value.split(",")]
    waits = [match for part in preferences if (match := _WAIT.fullmatch(part))]
    return int(waits[0][1]) if waits else None


def request_id(request: web.Request) -> str:
    """The caller's ``X-Request-Id`` where it is harmless to log and echo, else a fresh one."""
    value = request.headers.get("X-Request-Id", "")
    return value if _REQUEST_ID.fullmatch(value) else ids.unique()
