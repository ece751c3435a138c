"""One settlement after the other on an idle system: from the webhook's 200 to the published snapshot that says so."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis
import requests
from benchmarks.events import pay
from benchmarks.fronts import WEBHOOKS, sign
from benchmarks.installation import Installation
from benchmarks.snapshots import state_url

from paywindow import published, webhook_signature
from paywindow.cli.demo import Marketplace

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Settlements:
    """Pays sessions of an installation one by one; Stripe's other events of the same payment are kept back meanwhile."""

    installation: Installation
    _market: Marketplace
    _state: "redis.Redis"
    _stripe: requests.Session

    def one(self) -> float:
        """Seconds that one settlement took."""
        created = self._market.create("Walnut side table", "275.50")
        event = json.dumps(pay(self.installation, created), indent=2).encode()
        self.installation.wait_until_idle()
        return self._settle(event, uuid.UUID(created["paymentSession"]["id"]))

    def _settle(self, event: bytes, session_id: uuid.UUID) -> float:
        stack, key = self.installation.stack, published.session_key(session_id)
        with self._state.pubsub(ignore_subscribe_messages=True) as feed:
            feed.subscribe(published.WAKE)
            feed.get_message(timeout=_TIMEOUT_SECONDS)
            signature = sign(event, stack.environment["STRIPE_WEBHOOK_SECRET"], int(time.time()))
            headers = {webhook_signature.HEADER: signature, "Content-Type": "application/json"}
            answer = self._stripe.post(
                f"{stack.front_url}{WEBHOOKS}", data=event, headers=headers, timeout=_TIMEOUT_SECONDS
            )
            accepted = time.perf_counter()
            answer.raise_for_status()
            while True:
                message = feed.get_message(timeout=_TIMEOUT_SECONDS)
                heard = time.perf_counter()
                if message is None and heard - accepted > _TIMEOUT_SECONDS:
                    raise TimeoutError("the settlement was not published")
                published_now = message is not None and message["data"] == key
                if published_now and '"completed"' in (self._state.hget(key, "service") or ""):
                    return heard - accepted


@contextmanager
def settlements(installation: Installation) -> Iterator[Settlements]:
    """Settlements on an installation whose sandbox has no rate limit and sends no webhooks of its own for the block."""
    installation.limit(None)
    installation.sandbox.webhook_mode("drop")
    with (
        redis.Redis.from_url(state_url(installation.stack.environment), decode_responses=True) as state,
        requests.Session() as stripe,
    ):
        yield Settlements(installation, Marketplace(installation.stack), state, stripe)
    installation.sandbox.webhook_mode("normal")
    installation.restore_limit()
    installation.wait_until_idle()
