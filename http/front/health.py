"""``/healthz``: the process is up. ``/readyz``: it can do its work now."""

from collections.abc import Awaitable
from typing import Any

from aiohttp import web
from redis.exceptions import RedisError

from paywindow.front.answers import json_response
from paywindow.front.context import FRONT

#: Written to see that writing is possible.
_PROBE, _PROBE_MS = "pw:ready", 1000


async def healthz(_: web.Request) -> web.Response:
    """Answers as long as the event loop does; looks at nothing else, so that an outage of Redis restarts no front
    end."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether the broker takes what is written, the state answers, entries are heard of, messages are taken, and the process
    is to stay.

    503 names what is not so.
    """
    front = request.app[FRONT]
    checks = {
        # A PING would be answered by a Redis that is full, too, and by a replica.
        "broker": await _answers(front.broker.set(_PROBE, "", px=_PROBE_MS)),
        "state": await _answers(front.state.ping()),
        "feed": front.waiter.connected,
        "enqueue": front.enqueuer.accepting,
        "staying": not front.leaving,
    }
    ready = all(checks.values())
    return json_response(
        {"status": "ready" if ready else "unavailable", "checks": checks}, status=200 if ready else 503
    )


async def _answers(command: Awaitable[Any]) -> bool:
    try:
        return bool(await command)
    except (RedisError, OSError):
        return False
