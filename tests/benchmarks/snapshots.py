"""Sessions by the thousand in the state database of a lone front end, as workers would have published them."""

import uuid

import redis
from benchmarks.fronts import Fronts
from benchmarks.harness import Bench

from paywindow import published
from paywindow.cli.demo import Marketplace
from paywindow.published import Snapshot

_LOADED_AT_ONCE = 1000


def publish(bench: Bench, servers: Fronts, count: int) -> list[uuid.UUID]:
    """Put copies of a real session's snapshot into the state database; the ids."""
    original, snapshot = a_snapshot(bench)
    known = [uuid.uuid4() for _ in range(count)]
    with redis.Redis.from_url(state_url(servers.environment)) as state:
        for start in range(0, count, _LOADED_AT_ONCE):
            with state.pipeline(transaction=False) as pipeline:
                for session_id in known[start : start + _LOADED_AT_ONCE]:
                    fields = of(snapshot, original, session_id).fields()
                    pipeline.hset(published.session_key(session_id), mapping={"v": snapshot.version, **fields})
                pipeline.execute()
    return known


def a_snapshot(bench: Bench) -> tuple[str, Snapshot]:
    """A new session of the installation, and what was published about it."""
    stack = bench.installation.stack
    market = Marketplace(stack)
    session_id = str(market.create("Walnut side table", "275.50")["paymentSession"]["id"])
    market.status(session_id)  # published by then
    with redis.Redis.from_url(state_url(stack.environment), decode_responses=True) as state:
        fields = state.hgetall(published.session_key(uuid.UUID(session_id)))
    texts = {name: fields[name] for name in ("service", "buyer", "service_closing", "buyer_closing")}
    moments = {name: int(fields[name]) for name in ("expires_ms", "closes_ms")}
    return session_id, Snapshot(version=int(fields["v"]), **texts, **moments)


def of(snapshot: Snapshot, original: str, session_id: uuid.UUID, *, newer: int = 0) -> Snapshot:
    """The same about another session, ``newer`` versions later."""
    texts = [snapshot.service, snapshot.buyer, snapshot.service_closing, snapshot.buyer_closing]
    own = [text.replace(original, str(session_id)) for text in texts]
    return Snapshot(snapshot.version + newer, *own, snapshot.expires_ms, snapshot.closes_ms)


def state_url(environment: dict[str, str]) -> str:
    """Where the state database is."""
    return environment["REDIS_URL"].removesuffix("/0") + "/1"
