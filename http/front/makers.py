"""``/payments/makers/{id}/account``: a seller's account at Stripe."""

from aiohttp import web

from paywindow import messages
from paywindow.front import access, operations, requests
from paywindow.front.answers import outcome_response
from paywindow.front.bodies import read_json
from paywindow.front.context import FRONT
from paywindow.keys import Scope


async def link(request: web.Request) -> web.Response:
    """``POST /payments/makers/{id}/account``: open the account if there is none, and mint an onboarding link."""
    key = access.service_key(request, Scope.CHECKOUT)
    maker_id = requests.path_id(request.match_info["id"])
    front = request.app[FRONT]
    document = await read_json(request, limit=front.settings.front_max_body_bytes) if request.can_read_body else {}
    body = {"maker_id": str(maker_id), **requests.link_seller(document, front.allowed_urls).command(front.settings)}
    return await operations.run(
        request,
        key.name,
        "sellers.link",
        body,
        lambda operation_id, client, fingerprint: messages.link_seller(operation_id, client, fingerprint, body),
    )


async def show(request: web.Request) -> web.Response:
    """``GET /payments/makers/{id}/account``: what the account can do, and what Stripe still wants to know."""
    access.service_key(request, Scope.READ)
    maker_id = requests.path_id(request.match_info["id"])
    outcome = await operations.ask(request.app[FRONT], lambda reply_id: messages.find_seller(reply_id, maker_id))
    return outcome_response(outcome)
