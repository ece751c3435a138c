"""The control API's HTTP side: JSON bodies in and out, refusals in Stripe's shape."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from aiohttp import web

from paywindow.sandbox.errors import StripeError, invalid
from paywindow.sandbox.jsontypes import JsonObject

Operation: TypeAlias = Callable[[web.Request, JsonObject], Awaitable[JsonObject]]


def add_operations(app: web.Application, table: Iterable[tuple[str, str, Operation]]) -> None:
    """Hang operations (method, path below ``/_sandbox``, coroutine) into the application."""
    for method, path, operation in table:
        app.router.add_route(method, "/_sandbox" + path, _json_handler(operation))


def _json_handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await operation(request, await _read_json(request)))
        except StripeError as error:
            return web.json_response(error.body(), status=error.status)

    return handle


async def _read_json(request: web.Request) -> JsonObject:
    text = await request.text()
    if not text:
        return {}
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid("The body is not a JSON object")
    return body
