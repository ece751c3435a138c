"""``settle_latency``: from the webhook's 200 to the published snapshot that says so, nothing else going on."""

import json
import time
import uuid
from collections.abc import Iterator

import redis
import requests
from benchmarks.events import pay
from benchmarks.fronts import WEBHOOKS, sign
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile

from paywindow import published, webhook_signature
from paywindow.cli.demo import Marketplace

_PAYMENTS = 60
_TIMEOUT_SECONDS = 30


@benchmark("settle_latency")
def settle_latency(bench: Bench) -> Iterator[Figure]:
    """One payment after the other; Stripe's other events of the same payment are kept back meanwhile."""
    installation, count = bench.installation, bench.sized(_PAYMENTS)
    market = Marketplace(installation.stack)
    installation.limit(None)
    installation.sandbox.webhook_mode("drop")
    task = bench.progress.add_task("settle_latency", total=count)
    found: list[float] = []
    state_url = installation.stack.environment["REDIS_URL"].removesuffix("/0") + "/1"
    with redis.Redis.from_url(state_url, decode_responses=True) as state, requests.Session() as stripe:
        for _ in range(count):
            created = market.create("Walnut side table", "275.50")
            event = json.dumps(pay(installation, created), indent=2).encode()
            installation.wait_until_idle()
            found.append(_settle(bench, stripe, state, event, uuid.UUID(created["paymentSession"]["id"])) * 1000)
            bench.progress.advance(task)
    installation.sandbox.webhook_mode("normal")
    installation.restore_limit()
    installation.wait_until_idle()
    bench.progress.remove_task(task)
    yield Figure("settle_latency", percentile(found, 50), "ms", aim=Aim("value", "at most", 25), note="p50")
    yield Figure("settle_latency_p99", percentile(found, 99), "ms", note="p99")


def _settle(bench: Bench, stripe: requests.Session, state: "redis.Redis", event: bytes, session_id: uuid.UUID) -> float:
    """Seconds from the answer to the snapshot."""
    stack, key = bench.installation.stack, published.session_key(session_id)
    with state.pubsub(ignore_subscribe_messages=True) as feed:
        feed.subscribe(published.WAKE)
        feed.get_message(timeout=_TIMEOUT_SECONDS)
        signature = sign(event, stack.environment["STRIPE_WEBHOOK_SECRET"], int(time.time()))
        headers = {webhook_signature.HEADER: signature, "Content-Type": "application/json"}
        answer = stripe.post(f"{stack.front_url}{WEBHOOKS}", data=event, headers=headers, timeout=_TIMEOUT_SECONDS)
        accepted = time.perf_counter()
        answer.raise_for_status()
        while True:
            message = feed.get_message(timeout=_TIMEOUT_SECONDS)
            heard = time.perf_counter()
            if message is None and heard - accepted > _TIMEOUT_SECONDS:
                raise TimeoutError("the settlement was not published")
            if message is not None and message["data"] == key and '"completed"' in (state.hget(key, "service") or ""):
                return heard - accepted
