"""``status``: reads of sessions' states by the marketplace, one front process."""

import random
import statistics
import uuid
from collections.abc import Iterator

import redis
from benchmarks.fronts import Fronts, fronts, get
from benchmarks.harness import Aim, Bench, Figure, benchmark
from benchmarks.load import send

from paywindow import published
from paywindow.cli.demo import Marketplace

_ROUNDS = 5
_SESSIONS = 100_000
_READS = 15_000
_CONNECTIONS = 64
_LOADED_AT_ONCE = 1000


@benchmark("status")
def status(bench: Bench) -> Iterator[Figure]:
    """Throughput of reads of random sessions against aiohttp's hello world, in turns."""
    sessions, reads = bench.sized(_SESSIONS), bench.sized(_READS)
    with fronts(bench) as servers:
        ours, hello = servers.ours(), servers.baseline("hello")
        task = bench.progress.add_task("status: publishing sessions", total=sessions)
        known = _publish(bench, servers, sessions)
        bench.progress.reset(task, description="status", total=2 * _ROUNDS)
        authorization = [f"Authorization: Bearer {bench.installation.stack.service_key}"]
        rates: dict[str, list[float]] = {"ours": [], "hello": []}
        for _ in bench.rounded(_ROUNDS):
            asked = [f"/payments/checkout/{each}/status" for each in random.choices(known, k=reads)]
            ours_load = send(ours.port, [get(path, authorization) for path in asked], connections=_CONNECTIONS)
            hello_load = send(hello.port, [get("/")] * reads, connections=_CONNECTIONS)
            rates["ours"].append(ours_load.per_second)
            rates["hello"].append(hello_load.per_second)
            bench.progress.advance(task, 2)
        bench.progress.remove_task(task)
    rate = {name: statistics.median(found) for name, found in rates.items()}
    note = f"of {sessions:,} sessions"
    yield Figure("status", rate["ours"], "reads/s", rate["hello"], Aim("ratio", "at least", 0.6), note)


def _publish(bench: Bench, servers: Fronts, count: int) -> list[uuid.UUID]:
    """Put as many sessions into the state database as workers would have; their ids."""
    stack = bench.installation.stack
    original = Marketplace(stack).create("Walnut side table", "275.50")["paymentSession"]["id"]
    known = [uuid.uuid4() for _ in range(count)]
    with (
        redis.Redis.from_url(_state(stack.environment["REDIS_URL"]), decode_responses=True) as theirs,
        redis.Redis.from_url(_state(servers.environment["REDIS_URL"])) as ours,
    ):
        fields = theirs.hgetall(published.session_key(uuid.UUID(original)))
        for start in range(0, count, _LOADED_AT_ONCE):
            with ours.pipeline(transaction=False) as pipeline:
                for session_id in known[start : start + _LOADED_AT_ONCE]:
                    own = {name: text.replace(original, str(session_id)) for name, text in fields.items()}
                    pipeline.hset(published.session_key(session_id), mapping=own)
                pipeline.execute()
    return known


def _state(url: str) -> str:
    return url.removesuffix("/0") + "/1"
