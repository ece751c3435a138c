"""``POST /payments/webhooks/stripe``: verify, look at the outline, enqueue, confirm.

Stripe is told 200 only once Redis has the event. Everything else is left to the workers: an event of a type that nobody
handles yet is a good event here.
"""

import logging
import re
import time
from typing import Any

from aiohttp import web

from paywindow import clock, logs, messages, webhook_signature
from paywindow.errors import Problem
from paywindow.front import bodies, metrics
from paywindow.front.answers import json_text
from paywindow.front.context import FRONT, Front
from paywindow.webhook_signature import InvalidSignature

log = logging.getLogger(__name__)

_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,251}")
_MAX_TYPE_CHARACTERS = 255
_RECEIVED = '{"received":true}'


async def receive(request: web.Request) -> web.Response:
    """Take one event."""
    front = request.app[FRONT]
    try:
        body = await bodies.read(request, limit=front.settings.webhook_max_body_bytes)
        secret = _verify(front, request, body)
        logs.bind(event_id=_check_outline(body))
    except InvalidSignature as error:
        _rejected(error.reason)
        raise Problem("invalid_signature", str(error)) from None
    except Problem as problem:
        _rejected(problem.code)
        raise
    await front.enqueuer.enqueue(messages.receive_event(body.decode(), clock.now()))
    metrics.accepted(secret).inc()
    return json_text(_RECEIVED)


def _verify(front: Front, request: web.Request, body: bytes) -> int:
    return webhook_signature.verify(
        body,
        request.headers.get(webhook_signature.HEADER),
        front.webhook_secrets,
        tolerance_seconds=front.settings.webhook_tolerance_seconds,
        now=time.time(),
    )


def _check_outline(body: bytes) -> str:
    """The event's id; what is not an event at all is refused. Raises ``invalid_event``."""
    try:
        # The workers' parser, though others are faster: what one of the two reads and the other does not would be confirmed
        # and never handled, or refused for good.
        event = bodies.parse(body)
    except Problem as problem:
        raise Problem("invalid_event", problem.detail) from None
    wrong = [name for name, right in _outline(event).items() if not right]
    if wrong:
        raise Problem("invalid_event", f"The body is not a Stripe event: {', '.join(wrong)}.")
    return str(event["id"])


def _outline(event: Any) -> dict[str, bool]:
    if not isinstance(event, dict):
        return {"it is not a JSON object": False}
    id_, type_, data = event.get("id"), event.get("type"), event.get("data")
    return {
        "object is not 'event'": event.get("object") == "event",
        "id is not an event's": isinstance(id_, str) and _EVENT_ID.fullmatch(id_) is not None,
        "type is not a name": isinstance(type_, str) and 0 < len(type_) <= _MAX_TYPE_CHARACTERS and type_.isascii(),
        "livemode is not a boolean": isinstance(event.get("livemode"), bool),
        "data.object is not an object": isinstance(data, dict) and isinstance(data.get("object"), dict),
    }


def _rejected(reason: str) -> None:
    metrics.WEBHOOKS_REJECTED.labels(reason).inc()
    log.warning("webhook refused: %s", reason)
