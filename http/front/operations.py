"""Commands: enqueue once, wait for the outcome, answer it; and looking an operation up later.

A command is an *operation* with an id derived from the client and its ``Idempotency-Key``. The outcome, once there,
is the answer to every repetition; without one the command is enqueued again, which is harmless: its actor finds the
operation.
"""

import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web
from dramatiq import Message

from paywindow import ids, logs, messages, published
from paywindow.errors import Problem
from paywindow.front import access, headers
from paywindow.front.answers import json_response, outcome_response
from paywindow.front.context import FRONT, Front
from paywindow.front.requests import path_id
from paywindow.published import Outcome

#: Between our 202 and the actor's first commit only this note knows the operation. It is written before the message, so that
#: whatever wipes the message takes the note with it: a caller who asks later is told 404, and knows to repeat the request.
_ACCEPTED_SECONDS = 3600
_RETRY_AFTER_SECONDS = "1"
#: When a sweep first goes on with what Stripe did not answer.
_RETRY_AFTER_DELAY_SECONDS = "15"

#: Builds the message of a command: operation id, client, fingerprint and the request.
Build = Callable[[uuid.UUID, str, str], Message[Any]]


async def run(request: web.Request, client: str, kind: str, body: dict[str, Any], build: Build) -> web.Response:
    """Carry out a command and answer with its outcome, or with 202 when that takes longer than the caller waits.

    ``client`` owns the operation; ``body`` is the normalised request; its fingerprint tells a repetition from a reused key (409).
    Raises ``invalid_header``, ``idempotency_key_reused``, and the enqueuer's errors.
    """
    front = request.app[FRONT]
    operation_id = ids.operation_id(client, headers.idempotency_key(request))
    logs.bind(operation_id=operation_id)
    fingerprint = ids.fingerprint(kind, body)
    names = [
        published.operation_key(operation_id),
        published.conflict_key(operation_id, fingerprint),
        published.delay_key(operation_id),
    ]

    async def read() -> Outcome | None:
        for text in await front.state.mget(names):
            if text is not None:
                return Outcome.decode(text)
        return None

    async def send() -> None:
        await front.state.set(_accepted_key(operation_id), client, ex=_ACCEPTED_SECONDS)
        await front.enqueuer.enqueue(build(operation_id, client, fingerprint))

    wait, applied = _wait(request, front)
    outcome = await front.waiter.wait(names, read, seconds=wait, ask=send)
    if outcome is None:
        return pending(operation_id, applied)
    if outcome.fingerprint != fingerprint:
        raise Problem("idempotency_key_reused", "Use a new Idempotency-Key for a request with another body.")
    if outcome.status == 202:
        return pending(operation_id, applied, outcome)
    logs.bind(session_id=(outcome.body.get("paymentSession") or {}).get("id"))
    return outcome_response(outcome, applied)


async def show(request: web.Request) -> web.Response:
    """``GET /payments/operations/{id}``: the outcome with its own status, or 202 while there is none."""
    front = request.app[FRONT]
    client = await access.operation_client(request)
    operation_id = path_id(request.match_info["id"])
    outcome = await _find(front, operation_id, client)
    if outcome is None or outcome.status == 202:
        return pending(operation_id, {}, await _outcome(front, published.delay_key(operation_id)))
    return outcome_response(outcome)


def pending(operation_id: uuid.UUID, applied: dict[str, str], delay: Outcome | None = None) -> web.Response:
    """202: accepted, the outcome will be at ``Location``. ``delay``: why it takes long, if workers said so."""
    location = f"/payments/operations/{operation_id}"
    retry_after = _RETRY_AFTER_SECONDS if delay is None else _RETRY_AFTER_DELAY_SECONDS
    return json_response(
        {"operation": {"id": str(operation_id), "status": "pending", **({} if delay is None else delay.body)}},
        status=202,
        headers={"Location": location, "Retry-After": retry_after, **applied},
    )


async def ask(front: Front, build: Callable[[uuid.UUID], Message[Any]]) -> Outcome:
    """Put a query to the workers and wait for the reply. Raises ``timed_out`` and the enqueuer's errors."""
    reply_id = uuid.uuid4()
    name = published.reply_key(reply_id)
    reply = await front.waiter.wait(
        [name],
        lambda: _outcome(front, name),
        seconds=front.settings.front_wait_seconds,
        ask=lambda: front.enqueuer.enqueue(build(reply_id)),
    )
    if reply is None:
        raise Problem("timed_out", "The workers did not answer in time; try again in a moment.")
    return reply


async def _find(front: Front, operation_id: uuid.UUID, client: str) -> Outcome | None:
    outcome = await _outcome(front, published.operation_key(operation_id))
    if outcome is None:
        outcome = await ask(front, lambda reply_id: messages.find_operation(reply_id, operation_id, client))
        accepted_for = await front.state.get(_accepted_key(operation_id))
        return None if outcome.status == 404 and accepted_for == client else outcome
    if outcome.client != client:
        raise Problem("not_found", "There is no operation with this id.")
    return outcome


async def _outcome(front: Front, name: str) -> Outcome | None:
    text = await front.state.get(name)
    return None if text is None else Outcome.decode(text)


def _wait(request: web.Request, front: Front) -> tuple[float, dict[str, str]]:
    """Seconds to wait, and the header that says which part of the caller's preference was followed."""
    cap = front.settings.front_wait_seconds
    preferred = headers.preferred_wait(request)
    if preferred is None:
        return cap, {}
    wait = min(preferred, cap)
    return wait, {"Preference-Applied": f"wait={wait}"}


def _accepted_key(operation_id: uuid.UUID) -> str:
    return f"pw:accepted:{operation_id}"
