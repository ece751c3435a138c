"""Giving money back on request, and ending holds."""

from aiohttp import web

from paywindow import messages
from paywindow.errors import Problem
from paywindow.front import access, headers, operations, overrides, requests
from paywindow.front.bodies import read_json
from paywindow.front.context import FRONT
from paywindow.keys import Scope


async def refund(request: web.Request) -> web.Response:
    """``POST /payments/refunds``: give a payment back, wholly or in part.

    Raises ``invalid_header`` without an ``Idempotency-Key``: a repetition must not give the money back twice.
    """
    key = access.service_key(request, Scope.REFUND)
    if headers.idempotency_key(request) is None:
        raise Problem("invalid_header", "A refund needs an Idempotency-Key, so that repeating it is safe.")
    document = await read_json(request, limit=request.app[FRONT].settings.front_max_body_bytes)
    body = requests.refund_payment(document).command()
    return await operations.run(
        request,
        key.name,
        "payment.refund",
        body,
        lambda operation_id, client, fingerprint: messages.command(
            "payment.refund", operation_id, client, fingerprint, body
        ),
    )


async def resolve(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/resolve``: keep or give back what is held."""
    return await overrides.admin(request, "payment.resolve", requests.resolve_hold)
