"""Reading request bodies: bounded, of the right type, and parsed with exact numbers."""

from typing import Any

from aiohttp import web

from paywindow import jsons
from paywindow.errors import Problem
from paywindow.front.answers import JSON


async def read(request: web.Request, *, limit: int) -> bytes:
    """The raw body. Raises ``body_too_large`` beyond ``limit`` bytes, before reading when the length was announced.

    A compressed body is refused: its size could not be bounded before unpacking, and no client of ours sends one.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "The body must not be compressed.")
    body = bytearray()
    if (request.content_length or 0) <= limit:
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > limit:
                break
        else:
            return bytes(body)
    raise Problem("body_too_large", f"The body must not exceed {limit} bytes.")


async def read_json(request: web.Request, *, limit: int) -> Any:
    """The body of a command. Raises ``unsupported_media_type``, ``body_too_large`` and ``malformed_json``."""
    charset = (request.charset or "utf-8").lower()
    if request.content_type != JSON or charset != "utf-8":
        raise Problem("unsupported_media_type", f"The content type must be {JSON}, in UTF-8.")
    return parse(await read(request, limit=limit))


def parse(body: bytes) -> Any:
    """Parse JSON. Raises ``malformed_json``, whatever is wrong with it."""
    try:
        return jsons.loads(body.decode())
    except (ValueError, ArithmeticError, RecursionError):
        # Beside bad syntax and bad UTF-8: exponents beyond Decimal's range, and nesting beyond the parser's.
        raise Problem("malformed_json", "The body must be one JSON document in UTF-8 (RFC 8259).") from None
