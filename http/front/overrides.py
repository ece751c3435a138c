"""Moving a session along on request: retries by the buyer or the marketplace; the window, and what admins may do to it."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import hdrs, web

from paywindow import clock, jsons, messages
from paywindow.front import access, operations, requests
from paywindow.front.answers import json_text
from paywindow.front.bodies import read_json
from paywindow.front.context import FRONT, Front
from paywindow.front.snapshots import View
from paywindow.keys import Scope


async def window(request: web.Request) -> web.Response:
    """``GET /payments/checkout/{id}/window``: how much time is left, by the server's clock."""
    session_id = requests.path_id(request.match_info["id"])
    if access.sends_service_key(request):
        access.service_key(request, Scope.READ)
        view = await request.app[FRONT].snapshots.read(session_id)
    else:
        view = await access.buyer_view(request, session_id)
    return json_text(jsons.dumps(window_body(view)), headers={"Cache-Control": "no-store"})


def window_body(view: View) -> dict[str, Any]:
    """How much time is left now."""
    now = clock.now()
    return {
        "expiresAt": clock.isoformat(datetime.fromtimestamp(view.expires_ms / 1000, UTC)),
        "remainingMs": view.remaining_ms(now),
        "serverNow": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "closing": view.closing,
    }


async def expire(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/expire``: close the window now."""
    return await admin(request, "window.expire", requests.override)


async def extend(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/extend``: move the deadline of an open window."""
    return await admin(request, "window.extend", requests.move_deadline)


async def reopen(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/reopen``: open an expired window again."""
    return await admin(request, "window.reopen", requests.move_deadline)


async def grant_retry(request: web.Request) -> web.Response:
    """``POST /payments/checkout/{id}/grant-retry``: allow a failed payment one more try."""
    return await admin(request, "payment.grant_retry", requests.override)


async def retry(request: web.Request) -> web.Response:
    """``POST /payments/retry/{id}``: a new page for a failed payment, for the marketplace or the buyer."""
    session_id = requests.path_id(request.match_info["id"])
    if access.sends_service_key(request):
        client = access.service_key(request, Scope.CHECKOUT).name
    else:
        client = await access.buyer_command(request, session_id)
    reason = requests.retry_payment(await _document(request)).reason
    return await _command(request, client, "payment.retry", session_id, {"reason": reason})


async def retry_from_page(request: web.Request) -> web.Response:
    """``POST /pay/{id}/retry``: the button of the buyer's page, for browsers with and without JavaScript.

    Whatever the outcome, the page shows it: the new Checkout page, or why there is none.
    """
    session_id = requests.path_id(request.match_info["id"])
    client = await access.buyer_command(request, session_id)
    answer = await _command(request, client, "payment.retry", session_id, {"reason": None})
    await _published(request.app[FRONT], session_id, answer)
    raise web.HTTPSeeOther(f"{request.app[FRONT].root}/pay/{session_id}", headers={hdrs.CACHE_CONTROL: "no-store"})


async def _published(front: Front, session_id: uuid.UUID, answer: web.Response) -> None:
    """Wait until the session is published as the answer has it: the page must not offer again what was just done."""
    session = jsons.loads(answer.text or "{}").get("paymentSession")
    if session is not None:
        await front.snapshots.reach(session_id, session["version"])


async def admin(request: web.Request, actor: str, validate: Callable[[Any], requests.Override]) -> web.Response:
    """Carry out what an admin does to the session in the path, for the actor of that name."""
    key = access.service_key(request, Scope.ADMIN)
    session_id = requests.path_id(request.match_info["id"])
    body = validate(await _document(request))
    return await _command(request, key.name, actor, session_id, body.command())


async def _document(request: web.Request) -> Any:
    limit = request.app[FRONT].settings.front_max_body_bytes
    return await read_json(request, limit=limit) if request.can_read_body else {}


async def _command(
    request: web.Request, client: str, actor: str, session_id: uuid.UUID, body: dict[str, Any]
) -> web.Response:
    body = {"session_id": str(session_id), **body}
    return await operations.run(
        request,
        client,
        actor,
        body,
        lambda operation_id, client, fingerprint: messages.command(actor, operation_id, client, fingerprint, body),
    )
