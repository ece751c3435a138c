"""What every handler of a front process shares."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
from aiohttp import web
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from paywindow.enqueue import Enqueuer
from paywindow.front import metrics
from paywindow.front.feed import Feed
from paywindow.front.guard import Guard, GuardedPool
from paywindow.front.lost_connections import say_when_lost
from paywindow.front.snapshots import SnapshotReader
from paywindow.front.urls import AllowList
from paywindow.front.waiting import Waiter
from paywindow.keys import BuyerTokens
from paywindow.settings import Settings, secret

#: Seconds that one command to Redis, or one connection, may take.
_TIMEOUT_SECONDS = 3.0
_CONNECT_SECONDS = 2.0
#: Connections of a process. One pipeline at a time enqueues; the others are for readiness.
_BROKER_CONNECTIONS = 5
_STATE_CONNECTIONS = 20


@dataclass(slots=True)
class Front:
    """Settings, Redis and the parts built on it. Lives as long as the application; use it through :data:`FRONT`."""

    settings: Settings
    broker: "redis.asyncio.Redis"
    state: "redis.asyncio.Redis"
    enqueuer: Enqueuer
    waiter: Waiter
    snapshots: SnapshotReader
    feed: Feed
    tokens: BuyerTokens
    allowed_urls: AllowList
    webhook_secrets: tuple[str, ...]
    guards: tuple[Guard, Guard]
    #: Set by the signal to end: the process still answers, and wants no more requests.
    leaving: bool = False

    @property
    def public(self) -> str:
        """The front end's address as buyers see it."""
        return self.settings.public

    @property
    def root(self) -> str:
        """The path under which the front end is public, without a trailing slash; empty for a host of its own."""
        return urlsplit(self.public).path

    @property
    def secure(self) -> bool:
        """Whether buyers come over https, so that cookies can demand it."""
        return self.public.startswith("https:")


FRONT: web.AppKey[Front] = web.AppKey("front", Front)


def make(settings: Settings) -> Front:
    """Build a process' shared parts. Connects to nothing yet."""
    guards = Guard(secret(settings.redis_url), "broker"), Guard(settings.state_url, "state")
    broker = _connect(
        secret(settings.redis_url),
        guards[0],
        max_connections=_BROKER_CONNECTIONS,
        # No retries: a repeated EXEC would queue its messages twice.
        retry=Retry(NoBackoff(), 0),
    )
    state = _connect(
        settings.state_url,
        guards[1],
        max_connections=_STATE_CONNECTIONS,
        decode_responses=True,
        # A connection that was lost is made again. Who waited in vain has waited long enough.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    enqueuer, waiter = Enqueuer(broker), Waiter(state)
    snapshots = SnapshotReader(state, waiter, enqueuer, seconds=settings.front_wait_seconds)
    for index, _ in enumerate(settings.stripe_webhook_secret):
        metrics.WEBHOOKS_ACCEPTED.labels(str(index))
    return Front(
        settings=settings,
        broker=broker,
        state=state,
        enqueuer=enqueuer,
        waiter=waiter,
        snapshots=snapshots,
        feed=Feed(snapshots, waiter, limit=settings.front_max_streams),
        tokens=BuyerTokens([token.get_secret_value() for token in settings.buyer_token_secrets]),
        allowed_urls=AllowList.of(settings),
        webhook_secrets=tuple(each.get_secret_value() for each in settings.stripe_webhook_secret),
        guards=guards,
    )


@asynccontextmanager
async def running(front: Front) -> AsyncIterator[None]:
    """Listen while the application runs; on the way out send what was taken, then close the connections."""
    for guard in front.guards:
        guard.start()
    front.waiter.start()
    try:
        yield
    finally:
        await front.waiter.close()
        await front.feed.close()
        await front.enqueuer.close()
        await front.broker.aclose()
        await front.state.aclose()
        for guard in front.guards:
            await guard.close()


def _connect(url: str, guard: Guard, **options: Any) -> "redis.asyncio.Redis":
    pool = GuardedPool.from_url(
        url,
        guard=guard,
        timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        protocol=2,
        **options,
    )
    return redis.asyncio.Redis.from_pool(say_when_lost(pool))
