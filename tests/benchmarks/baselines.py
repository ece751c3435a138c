"""The servers that our front end is measured against: the least that aiohttp can do, and what one would write first.

``python -m benchmarks.baselines NAME PORT``; ``REDIS_URL`` and ``STRIPE_WEBHOOK_SECRET`` come from the environment.
Each runs as ours does: one process, uvloop, no access log of aiohttp's own.
"""

import asyncio
import json
import os
import sys
import time

import dramatiq
import uvloop
from aiohttp import web
from dramatiq.brokers.redis import RedisBroker

from paywindow import webhook_signature


async def hello(_: web.Request) -> web.Response:
    """The least an answer can cost."""
    return web.json_response({"hello": "world"})


async def bare(request: web.Request) -> web.Response:
    """Verify and parse a webhook, and forget it."""
    _event(await request.read(), request)
    return web.json_response({"received": True})


async def naive(request: web.Request) -> web.Response:
    """The same, with a send to Dramatiq as its documentation shows it."""
    receive.send(_event(await request.read(), request))
    return web.json_response({"received": True})


@dramatiq.actor
def receive(event: dict[str, object]) -> None:
    """Never run here: only sent."""


def _event(body: bytes, request: web.Request) -> dict[str, object]:
    signature = request.headers.get(webhook_signature.HEADER)
    secrets = [os.environ["STRIPE_WEBHOOK_SECRET"]]
    webhook_signature.verify(body, signature, secrets, tolerance_seconds=300, now=time.time())
    event: dict[str, object] = json.loads(body)
    return event


async def _serve(name: str, port: int) -> None:
    app = web.Application()
    app.add_routes([web.post("/", {"bare": bare, "naive": naive}.get(name, bare)), web.get("/", hello)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main(name: str, port: str) -> None:
    """Serve until the process is ended."""
    if name == "naive":
        receive.broker = RedisBroker(url=os.environ["REDIS_URL"])  # type: ignore[no-untyped-call]
        receive.broker.declare_actor(receive)
    uvloop.run(_serve(name, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
