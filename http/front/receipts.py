"""``/payments/receipts/...``: what a receipt says about itself, and the way to its file."""

import asyncio
import uuid

from aiohttp import hdrs, web

from paywindow import jsons, messages
from paywindow.errors import Problem
from paywindow.front import access, operations
from paywindow.front.answers import json_response, outcome_response
from paywindow.front.context import FRONT, Front
from paywindow.front.requests import path_id
from paywindow.keys import Scope
from paywindow.published import Outcome
from paywindow.receipts.local_store import LocalStore
from paywindow.receipts.local_url import InvalidLink, verify_local_url
from paywindow.receipts.storage import PDF, StorageRefused
from paywindow.settings import secret


async def show(request: web.Request) -> web.Response:
    """``GET /payments/receipts/{id}``."""
    outcome = await _locate(request, download=False)
    if outcome.status != 200:
        return outcome_response(outcome)
    return json_response({"receipt": outcome.body["receipt"]})


async def download(request: web.Request) -> web.Response:
    """``GET /payments/receipts/{id}/download``: 302 to a short-lived address of the file; who was sent there is recorded."""
    outcome = await _locate(request, download=True)
    if outcome.status != 200:
        return outcome_response(outcome)
    url = outcome.body["url"]
    if url is None:
        raise Problem("not_found", "The receipt is on its way; try again in a moment.")
    return web.Response(status=302, headers={hdrs.LOCATION: url, hdrs.CACHE_CONTROL: "no-store"})


async def file(request: web.Request) -> web.Response:
    """``GET /payments/receipts/files/{key}``: a signed link to the local folder.

    Only while receipts are stored there.
    """
    settings = request.app[FRONT].settings
    key, signing_secret = request.match_info["key"], secret(settings.receipt_url_secret)
    try:
        name = verify_local_url(signing_secret, key, request.query)
        store = LocalStore(settings.receipt_folder, settings.public, signing_secret)
        body = await asyncio.to_thread(store.get, key)
    except InvalidLink as error:
        raise Problem("forbidden", f"{error}.") from None
    except StorageRefused:
        raise Problem("not_found", "There is no such file.") from None
    return web.Response(
        body=body,
        content_type=PDF,
        headers={"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _locate(request: web.Request, *, download: bool) -> Outcome:
    receipt_id = path_id(request.match_info["id"])
    session_id = None
    if access.sends_service_key(request):
        who = access.service_key(request, Scope.READ).name
    else:
        session_id = await _buyers_session(request, receipt_id)
        who = access.buyer_client(session_id)
    return await operations.ask(
        request.app[FRONT],
        lambda reply_id: messages.locate_receipt(reply_id, receipt_id, session_id, who if download else None),
    )


async def _buyers_session(request: web.Request, receipt_id: uuid.UUID) -> uuid.UUID:
    """Which of the buyer's sessions shows the receipt.

    Raises ``unauthenticated`` without a token, else ``not_found``.
    """
    sessions = access.token_sessions(request)
    if not sessions:
        raise Problem("unauthenticated", "A service key, or the buyer token of the receipt's session, is needed.")
    for session_id in sessions:
        if await _shows(request.app[FRONT], session_id, receipt_id):
            return session_id
    raise Problem("not_found", "There is no receipt with this id for this buyer.")


async def _shows(front: Front, session_id: uuid.UUID, receipt_id: uuid.UUID) -> bool:
    """Whether the session's buyer may see the receipt. A browser sends all its cookies, old ones too: those say no."""
    try:
        view = await front.snapshots.read(session_id)
    except Problem as problem:
        if problem.code == "not_found":
            return False
        raise
    seen = jsons.loads(view.buyer)
    documents = [seen.get("receipt"), *seen.get("creditNotes", ())]
    shown = any(document and document["id"] == str(receipt_id) for document in documents)
    return shown and access.still_good(front, view)
