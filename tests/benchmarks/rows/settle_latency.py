"""``settle_latency``: from the webhook's 200 to the published snapshot that says so, nothing else going on."""

from collections.abc import Iterator

from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.settlements import settlements

_PAYMENTS = 60


@benchmark("settle_latency")
def settle_latency(bench: Bench) -> Iterator[Figure]:
    """One payment after the other."""
    count = bench.sized(_PAYMENTS)
    task = bench.progress.add_task("settle_latency", total=count)
    found: list[float] = []
    with settlements(bench.installation) as payments:
        for _ in range(count):
            found.append(payments.one() * 1000)
            bench.progress.advance(task)
    bench.progress.remove_task(task)
    aim = Aim("value", "at most", 25)
    yield Figure("settle_latency", percentile(found, 50), "ms", aim=aim, note="p50", series={"ours": found})
    yield Figure("settle_latency_p99", percentile(found, 99), "ms", note="p99")
