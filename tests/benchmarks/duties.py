"""What the front end does for a webhook and for a read beside the least that aiohttp can do, and what each part of it costs.

``python -m benchmarks.duties`` reads from standard input, as JSON, ``event`` (with ``EVENT_ID`` in it), ``snapshot`` (the
fields of the state database), ``key`` (a service key), ``requests`` and ``rounds``; settings come from the environment. It
prints microseconds of CPU by path (``webhook``, ``read`` and their baselines ``bare``, ``hello``) and, for the first two, by what
was left out; ``nothing``: all duties are done. Connections and Redis cost nothing here: :mod:`benchmarks.nowhere`.
"""

import json
import os
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import uvloop
from aiohttp import web
from benchmarks.baselines import bare, hello
from benchmarks.fronts import WEBHOOKS, get, webhook
from benchmarks.nowhere import Redis, cost, served

from paywindow import enqueue, logs, messages
from paywindow.enqueue import Enqueuer
from paywindow.front import access, metrics, middleware, snapshots, webhooks
from paywindow.front.app import build
from paywindow.front.context import FRONT
from paywindow.front.middleware import AccessLogger, access_log
from paywindow.front.snapshots import SnapshotReader
from paywindow.settings import Role, Settings

_READ, _WEBHOOK = "read", "webhook"


async def _no_headers(*_: object) -> None:
    pass


def _without() -> Mapping[str, tuple[tuple[str, ...], tuple[Any, ...]]]:
    """By name of a duty: the paths that have it, and the patches that leave it out."""
    counter = SimpleNamespace(inc=lambda: None, observe=lambda seconds: None)
    arrival = enqueue._Arrival("events", "id", b"message")
    both = (_WEBHOOK, _READ)
    return {
        "nothing": (both, ()),
        "log line": (both, (patch.object(AccessLogger, "log", lambda *_: None),)),
        "ids for it": (
            both,
            (
                patch.object(logs, "bind", lambda **_: None),
                patch.object(middleware, "_ids_in_path", lambda match: {}),
            ),
        ),
        "counting": (
            both,
            (
                patch.object(metrics, "_answered", lambda *_: counter),
                patch.object(metrics, "_seconds", lambda *_: counter),
                patch.object(metrics, "accepted", lambda *_: counter),
            ),
        ),
        "headers": (both, (patch.object(middleware, "add_headers", _no_headers),)),
        "signature": ((_WEBHOOK,), (patch.object(webhooks, "_verify", lambda *_: 0),)),
        "outline": ((_WEBHOOK,), (patch.object(webhooks, "_check_outline", lambda body: "evt_1"),)),
        "message": (
            (_WEBHOOK,),
            (
                patch.object(messages, "receive_event", lambda *_: None),
                patch.object(enqueue, "_arrival", lambda message: arrival),
            ),
        ),
        "service key": ((_READ,), (patch.object(access, "service_key", lambda *_: None),)),
    }


@contextmanager
def _left_out(patches: tuple[Any, ...]) -> Iterator[None]:
    with ExitStack() as applied:
        for each in patches:
            applied.enter_context(each)
        yield


async def _measured(given: dict[str, Any]) -> dict[str, dict[str, float]]:
    settings = Settings.load(Role.FRONT)
    logs.configure(settings, "front")
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    async with AsyncExitStack() as ended:
        least = web.Application()
        least.add_routes([web.post("/", bare), web.get("/", hello)])
        least_server, end = await served(least, access_log=None)
        ended.push_async_callback(end)
        servers = {}
        for name, (_, patches) in _without().items():
            with _left_out(patches):  # some are looked up only as the application is built
                app = build(settings)
            app[FRONT].enqueuer = Enqueuer(Redis())  # type: ignore[arg-type]
            state: Any = Redis([given["snapshot"].get(field) for field in snapshots._FIELDS])
            app[FRONT].snapshots = SnapshotReader(state, app[FRONT].waiter, app[FRONT].enqueuer, seconds=1)
            servers[name], end = await served(app, access_log_class=AccessLogger, access_log=access_log)
            ended.push_async_callback(end)
        for _ in range(given["rounds"] + 1):
            found["bare"]["nothing"].append(await cost(least_server, _webhooks(given, "/")))
            found["hello"]["nothing"].append(await cost(least_server, [get("/")] * given["requests"]))
            for name, (paths, patches) in _without().items():
                with _left_out(patches):
                    for path in paths:
                        found[path][name].append(await cost(servers[name], _requests(given, path)))
    # The first round warms up. Whatever else the machine does adds to a cost, and never takes from it.
    return {path: {name: min(costs[1:]) for name, costs in each.items()} for path, each in found.items()}


def _requests(given: dict[str, Any], path: str) -> list[bytes]:
    if path == _WEBHOOK:
        return _webhooks(given, WEBHOOKS)
    headers = [f"Authorization: Bearer {given['key']}"]
    return [get(f"/payments/checkout/{uuid.uuid4()}/status", headers) for _ in range(given["requests"])]


def _webhooks(given: dict[str, Any], path: str) -> list[bytes]:
    secret, now = os.environ["STRIPE_WEBHOOK_SECRET"], int(time.time())
    return [webhook(given["event"], secret, now, path) for _ in range(given["requests"])]


def main() -> None:
    """Measure, and print JSON."""
    json.dump(uvloop.run(_measured(json.load(sys.stdin))), sys.stdout)


if __name__ == "__main__":
    main()
