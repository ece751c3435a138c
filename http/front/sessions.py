"""Sessions for the marketplace: the list with its filters, and another link for a buyer."""

from datetime import UTC, datetime

from aiohttp import web

from paywindow import clock, messages
from paywindow.errors import Problem
from paywindow.front import access, operations, requests
from paywindow.front.answers import json_response, outcome_response
from paywindow.front.context import FRONT
from paywindow.keys import Scope


async def find(request: web.Request) -> web.Response:
    """``GET /payments/sessions``: a page of the sessions that match."""
    access.service_key(request, Scope.READ)
    query = requests.list_sessions(request.query).query()
    outcome = await operations.ask(request.app[FRONT], lambda reply_id: messages.find_sessions(reply_id, query))
    return outcome_response(outcome)


async def buyer_token(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/buyer-token``: the session's link once more, signed with the newest secret.

    Nothing is kept, so it may be asked for any number of times. Raises ``session_expired`` when tokens of this session are
    over.
    """
    access.service_key(request, Scope.CHECKOUT)
    session_id = requests.path_id(request.match_info["id"])
    front = request.app[FRONT]
    view = await front.snapshots.read(session_id)
    if not access.still_good(front, view):
        raise Problem("session_expired", "Links to this session are over; BUYER_TOKEN_DAYS says how long they work.")
    token = front.tokens.issue(session_id)
    ends = datetime.fromtimestamp(access.token_ends_ms(front, view) / 1000, UTC)
    body = {
        "token": token,
        "payUrl": f"{front.public}/pay/{session_id}?token={token}",
        "expiresAt": clock.isoformat(ends),
    }
    return json_response(body)
