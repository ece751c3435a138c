"""The least that a create can be in this shape: a front end, a queue, a worker, two commits around Stripe's answer.

``python -m benchmarks.create_floor front PORT`` and ``... worker``, with an installation's environment: the front end puts the
request into a list in Redis and waits on another; the worker writes it down, asks Stripe with its SDK, writes down the answer,
and puts it where the front end waits. Nothing is checked, locked, retried, told or remembered for anybody else.
"""

import asyncio
import json
import os
import sys
import uuid

import psycopg2
import redis
import redis.asyncio
import stripe
import uvloop
from aiohttp import web

_REQUESTS, _WAIT_SECONDS = "bench:creates", 30
TABLE = "CREATE TABLE IF NOT EXISTS bench_creates (id uuid PRIMARY KEY, form text NOT NULL, url text)"


async def _create(request: web.Request) -> web.Response:
    client: redis.asyncio.Redis = request.app[_CLIENT]
    reply = f"bench:create:{uuid.uuid4()}"
    await client.rpush(_REQUESTS, json.dumps({"reply": reply, "form": await request.json()}))
    _, answer = await client.blpop([reply], timeout=_WAIT_SECONDS)
    return web.Response(body=answer, content_type="application/json")


_CLIENT = web.AppKey("client", redis.asyncio.Redis)


async def _serve(port: int) -> None:
    app = web.Application()
    app[_CLIENT] = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])
    app.add_routes([web.post("/", _create)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _work() -> None:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    gateway = stripe.StripeClient(
        os.environ["STRIPE_SECRET_KEY"],
        base_addresses={"api": os.environ["STRIPE_API_BASE"]},
        http_client=stripe.RequestsClient(),
    )
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    while True:
        _, message = client.blpop([_REQUESTS])
        asked = json.loads(message)
        identifier = str(uuid.uuid4())
        cursor.execute("INSERT INTO bench_creates (id, form) VALUES (%s, %s)", (identifier, json.dumps(asked["form"])))
        connection.commit()
        page = gateway.v1.checkout.sessions.create(asked["form"], {"idempotency_key": identifier})
        cursor.execute("UPDATE bench_creates SET url = %s WHERE id = %s", (page.url, identifier))
        connection.commit()
        client.rpush(asked["reply"], json.dumps({"url": page.url}))


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        _work()
    else:
        uvloop.run(_serve(int(sys.argv[2])))
