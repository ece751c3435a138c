"""``GET /pay/{id}``: the buyer's page, which stays valid while Checkout pages come and go.

The link that the buyer gets carries a token in its query. The first visit swaps it for a cookie and redirects to the
clean address, so that the token is left neither in the history nor in a referrer. The page works without JavaScript, and with it
keeps itself up to date: it follows the session's events and puts the new page in the place of the old one.
"""

import uuid
from typing import Any

from aiohttp import hdrs, web

from paywindow import clock, jsons
from paywindow.errors import Problem
from paywindow.front import access, rendering
from paywindow.front.context import FRONT, Front
from paywindow.front.requests import path_id
from paywindow.settings import LONGEST_WINDOW_MINUTES

_DAY_SECONDS = 86_400


async def show(request: web.Request) -> web.Response:
    """Swap the token, or show the session."""
    session_id = path_id(request.match_info["id"])
    if "token" in request.query:
        return _swap(request, session_id)
    view = await access.buyer_view(request, session_id)
    front = request.app[FRONT]
    html = rendering.payment_page(
        jsons.loads(view.buyer),
        etag=view.etag("buyer"),
        root=front.root,
        remaining_ms=view.remaining_ms(clock.now()),
        settings=front.settings,
        accept_language=_accept_language(request),
    )
    return _html(html, 200)


def problem_page(request: web.Request, problem: Problem) -> web.Response:
    """An error for people: no codes, no details, what to do."""
    root = request.app[FRONT].root
    html = rendering.problem_page(problem.code, root=root, accept_language=_accept_language(request))
    return _html(html, problem.status)


def _swap(request: web.Request, session_id: uuid.UUID) -> web.Response:
    if access.token_sessions(request) != [session_id]:
        raise Problem("unauthenticated", "The token does not open this session.")
    front = request.app[FRONT]
    response = web.Response(
        status=303, headers={hdrs.LOCATION: f"{front.root}/pay/{session_id}", hdrs.CACHE_CONTROL: "no-store"}
    )
    response.set_cookie(access.cookie_name(session_id), request.query["token"], **_cookie(front))
    return response


def _cookie(front: Front) -> dict[str, Any]:
    # The token itself decides when it is over; the cookie only must not go before the longest window has.
    days = front.settings.buyer_token_days + LONGEST_WINDOW_MINUTES // 1440
    return {
        "max_age": days * _DAY_SECONDS,
        "path": "/",
        "httponly": True,
        "samesite": "Lax",
        "secure": front.secure,
    }


def _accept_language(request: web.Request) -> str:
    return request.headers.get(hdrs.ACCEPT_LANGUAGE, "")


def _html(text: str, status: int) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})
