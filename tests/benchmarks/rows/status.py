"""``status``: reads of sessions' states by the marketplace, one front process."""

import random
import statistics
from collections.abc import Iterator

from benchmarks.fronts import fronts, get
from benchmarks.harness import Aim, Bench, Figure, benchmark
from benchmarks.load import send
from benchmarks.snapshots import publish

_ROUNDS = 5
_SESSIONS = 100_000
_READS = 15_000
_CONNECTIONS = 64


@benchmark("status")
def status(bench: Bench) -> Iterator[Figure]:
    """Throughput of reads of random sessions against aiohttp's hello world, in turns."""
    sessions, reads = bench.sized(_SESSIONS), bench.sized(_READS)
    with fronts(bench) as servers:
        ours, hello, floor = servers.ours(), servers.baseline("hello"), servers.baseline("floor")
        task = bench.progress.add_task("status: publishing sessions", total=sessions)
        known = publish(bench, servers, sessions)
        bench.progress.reset(task, description="status", total=3 * _ROUNDS)
        authorization = [f"Authorization: Bearer {bench.installation.stack.service_key}"]
        rates: dict[str, list[float]] = {"ours": [], "hello": [], "floor": []}
        for _ in bench.rounded(_ROUNDS):
            asked = random.choices(known, k=reads)
            requests = {
                ours: [get(f"/payments/checkout/{each}/status", authorization) for each in asked],
                hello: [get("/")] * reads,
                floor: [get(f"/status/{each}") for each in asked],
            }
            for name, (server, each) in zip(rates, requests.items(), strict=True):
                rates[name].append(send(server.port, each, connections=_CONNECTIONS).per_second)
                bench.progress.advance(task)
        bench.progress.remove_task(task)
    rate = {name: statistics.median(found) for name, found in rates.items()}
    note = f"of {sessions:,} sessions"
    yield Figure("status", rate["ours"], "reads/s", rate["hello"], Aim("ratio", "at least", 0.6), note)
    yield Figure(
        "status_floor", rate["floor"], "reads/s", rate["hello"], note="the snapshot read from Redis, nothing else"
    )
