"""``/payments/methods``: what a buyer keeps at Stripe, for the marketplace to show and to drop.

For service keys alone. A buyer token is bound to one purchase, and travels in links: it must not open what the buyer keeps for
others. The marketplace knows its buyers, and names the one that it acts for: ``buyerId``.
"""

import uuid

from aiohttp import web

from paywindow import messages
from paywindow.errors import Problem
from paywindow.front import access, operations
from paywindow.front.answers import outcome_response
from paywindow.front.context import FRONT
from paywindow.front.fields import UUID
from paywindow.front.requests import path_id
from paywindow.keys import Scope


async def show(request: web.Request) -> web.Response:
    """``GET /payments/methods?buyerId=``."""
    access.service_key(request, Scope.READ, Scope.CHECKOUT)
    buyer_id = _buyer_id(request)
    outcome = await operations.ask(request.app[FRONT], lambda reply_id: messages.list_methods(reply_id, buyer_id))
    return outcome_response(outcome)


async def detach(request: web.Request) -> web.Response:
    """``DELETE /payments/methods/{id}?buyerId=``: the buyer's Checkout pages do not offer it any more."""
    key = access.service_key(request, Scope.CHECKOUT)
    method_id = path_id(request.match_info["id"])
    body = {"method_id": str(method_id), "buyer_id": str(_buyer_id(request))}
    return await operations.run(
        request,
        key.name,
        "methods.detach",
        body,
        lambda operation_id, client, fingerprint: messages.detach_method(operation_id, client, fingerprint, body),
    )


def _buyer_id(request: web.Request) -> uuid.UUID:
    """The buyer of the query. Raises ``invalid_request``."""
    values = request.query.getall("buyerId", [])
    if len(values) == 1 and UUID.fullmatch(values[0]):
        return uuid.UUID(values[0])
    rule = "must be a UUID in canonical form (lower case, 8-4-4-4-12)" if values else "is required"
    if len(values) > 1:
        rule = "must be given once"
    raise Problem("invalid_request", f"buyerId {rule}.", errors=[{"field": "buyerId", "rule": rule}])
