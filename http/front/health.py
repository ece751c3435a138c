"""``/healthz``: the process is up. ``/readyz``: it can do its work now."""

from collections.abc import Awaitable

from aiohttp import web
from redis.exceptions import RedisError

from paywindow.front.answers import json_response
from paywindow.front.context import FRONT


async def healthz(_: web.Request) -> web.Response:
    """Answers as long as the event loop does; looks at nothing else, so that an outage of Redis restarts no front
    end."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether both databases of Redis answer, entries are heard of, and messages are taken.

    503 names what is not so.
    """
    front = request.app[FRONT]
    checks = {
        "broker": await _answers(front.broker.ping()),
        "state": await _answers(front.state.ping()),
        "feed": front.waiter.connected,
        "enqueue": front.enqueuer.accepting,
    }
    ready = all(checks.values())
    return json_response(
        {"status": "ready" if ready else "unavailable", "checks": checks}, status=200 if ready else 503
    )


async def _answers(ping: Awaitable[bool]) -> bool:
    try:
        return await ping
    except (RedisError, OSError):
        return False
