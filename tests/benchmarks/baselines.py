"""The servers that our front end is measured against: the least that aiohttp can do, what one would write first, and floors.

``python -m benchmarks.baselines NAME PORT``; ``REDIS_URL`` and ``STRIPE_WEBHOOK_SECRET`` come from the environment.
Each runs as ours does: one process, uvloop, no access log of aiohttp's own. A floor does what cannot be left out (a message on
disk before the 200, a snapshot read from Redis, a stream held open), the way the product does it, and nothing else: it asks
nobody for a key, logs and counts nothing, sets no headers and knows no limits.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import dramatiq
import redis.asyncio
import uvloop
from aiohttp import web
from dramatiq.brokers.redis import RedisBroker

from paywindow import messages, published, webhook_signature
from paywindow.batches import Batches
from paywindow.enqueue import Enqueuer


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


class Floors:
    """Handlers over one connection to Redis each way, as the product's front end has them."""

    def __init__(self, url: str) -> None:
        self._enqueuer = Enqueuer(redis.asyncio.Redis.from_url(url, max_connections=1))
        state = url.removesuffix("/0") + "/1"
        self._state = redis.asyncio.Redis.from_url(state, decode_responses=True, max_connections=1)
        self._read_snapshots = self._state.register_script(published.READ_SNAPSHOTS)
        self._readings = Batches(self._read_all, lambda error: error, name="readings")

    async def enqueue(self, request: web.Request) -> web.Response:
        """Verify and parse a webhook, and have it on disk in Redis."""
        body = await request.read()
        _event(body, request)
        await self._enqueuer.enqueue(messages.receive_event(body.decode(), datetime.now(UTC)))
        return web.json_response({"received": True})

    async def status(self, request: web.Request) -> web.Response:
        """Read a snapshot."""
        key = published.session_key(uuid.UUID(request.match_info["id"]))
        return web.Response(text=await self._readings.ask(key), content_type="application/json")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Say hello and hold the stream open."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"event: window\n\n")
        await asyncio.Event().wait()
        return answer

    async def _read_all(self, keys: Sequence[str]) -> list[str]:
        return [text for (text,) in await self._read_snapshots(keys, ["service"])]


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
    app, floors = web.Application(), Floors(os.environ["REDIS_URL"])
    webhook = {"bare": bare, "naive": naive, "floor": floors.enqueue}.get(name, bare)
    app.add_routes([web.post("/", webhook), web.get("/", hello)])
    app.add_routes([web.get("/status/{id}", floors.status), web.get("/stream", floors.stream)])
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
