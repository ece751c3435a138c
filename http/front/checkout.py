"""``/payments/checkout/...``: create, cancel, status."""

from aiohttp import web

from paywindow import messages
from paywindow.front import access, operations, requests
from paywindow.front.answers import json_text
from paywindow.front.bodies import read_json
from paywindow.front.context import FRONT
from paywindow.front.snapshots import Audience
from paywindow.keys import Scope


async def create(request: web.Request) -> web.Response:
    """``POST /payments/checkout/create``: open a payment window and its Checkout page."""
    key = access.service_key(request, Scope.CHECKOUT)
    front = request.app[FRONT]
    document = await read_json(request, limit=front.settings.front_max_body_bytes)
    command = requests.create_checkout(document, front.allowed_urls).command(front.settings)
    return await operations.run(
        request,
        key.name,
        "checkout.create",
        command.asdict(),
        lambda operation_id, client, fingerprint: messages.create_checkout(operation_id, client, fingerprint, command),
    )


async def cancel(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/cancel``: call the sale off. The body, and the reason in it, may be left out."""
    key = access.service_key(request, Scope.CHECKOUT)
    session_id = requests.path_id(request.match_info["id"])
    limit = request.app[FRONT].settings.front_max_body_bytes
    document = await read_json(request, limit=limit) if request.can_read_body else {}
    body = {"session_id": str(session_id), "reason": requests.cancel_checkout(document).reason}
    return await operations.run(
        request,
        key.name,
        "checkout.cancel",
        body,
        lambda operation_id, client, fingerprint: messages.command(
            "checkout.cancel", operation_id, client, fingerprint, body
        ),
    )


async def status(request: web.Request) -> web.Response:
    """``GET /payments/checkout/{id}/status``: the session as it stands, in the shape for whoever asks."""
    session_id = requests.path_id(request.match_info["id"])
    if access.sends_service_key(request):
        access.service_key(request, Scope.READ)
        view = await request.app[FRONT].snapshots.read(session_id)
        audience: Audience = "service"
    else:
        view = await access.buyer_view(request, session_id)
        audience = "buyer"
    etag = view.etag(audience)
    headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if any(each.value in (etag, "*") for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return json_text(view.text(audience), headers=headers)
