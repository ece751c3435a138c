"""``ingest``: signed webhooks that one front process takes, on disk in Redis before each 200."""

import statistics
from collections.abc import Iterator

from benchmarks.events import a_payment
from benchmarks.fronts import WEBHOOKS, Fronts, Server, fronts, webhooks
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.load import send

_ROUNDS = 5
_EVENTS = 15_000
_CONNECTIONS = 64


@benchmark("ingest")
def ingest(bench: Bench) -> Iterator[Figure]:
    """Throughput against a bare handler, a naive one and the floor, in turns; then latency at half of our throughput."""
    count = bench.sized(_EVENTS)
    event = a_payment(bench.installation)
    with fronts(bench) as servers:
        running = {"ours": servers.ours(), **{name: servers.baseline(name) for name in ("bare", "naive", "floor")}}
        paths = {name: WEBHOOKS if name == "ours" else "/" for name in running}
        task = bench.progress.add_task("ingest", total=2 * _ROUNDS * len(running))
        rates: dict[str, list[float]] = {name: [] for name in running}
        for _ in bench.rounded(_ROUNDS):
            for name, server in running.items():
                rates[name].append(_rate(servers, server, event, count, paths[name]))
                bench.progress.advance(task)
        rate = {name: statistics.median(found) for name, found in rates.items()}
        latencies: dict[str, list[float]] = {"ours": [], "bare": [], "floor": []}
        for _ in bench.rounded(_ROUNDS):
            for name, found in latencies.items():
                requests = webhooks(servers, event, count // 3 + 1, paths[name])
                half = send(running[name].port, requests, connections=_CONNECTIONS, per_second=rate["ours"] / 2)
                found.append(percentile(half.latencies, 99) * 1000)
                servers.forget()
                bench.progress.advance(task)
        bench.progress.remove_task(task)
    size = f"{len(event)} bytes each"
    yield Figure("ingest", rate["ours"], "webhooks/s", rate["bare"], Aim("ratio", "at least", 0.6), size)
    yield Figure("ingest_naive", rate["ours"], "webhooks/s", rate["naive"], Aim("ratio", "at least", 4), size)
    floor = "signature, parsing and the message on disk in Redis, nothing else"
    yield Figure("ingest_floor", rate["floor"], "webhooks/s", rate["bare"], note=floor)
    p99 = {name: statistics.median(found) for name, found in latencies.items()}
    note = f"p99 at {rate['ours'] / 2:.0f} webhooks/s"
    yield Figure("ingest_p99", p99["ours"], "ms", p99["bare"], Aim("ratio", "at most", 3), note)
    yield Figure("ingest_p99_floor", p99["floor"], "ms", p99["bare"], note=floor)


def _rate(servers: Fronts, server: Server, event: str, count: int, path: str) -> float:
    load = send(server.port, webhooks(servers, event, count, path), connections=_CONNECTIONS)
    servers.forget()
    return load.per_second
