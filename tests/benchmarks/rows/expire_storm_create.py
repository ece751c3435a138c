"""``expire_storm_create``: what a storm of closing windows does to somebody who opens a checkout meanwhile."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from benchmarks.checkouts import EVERY_SECONDS, latencies
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.windows import Windows

from paywindow.cli.demo import Marketplace

_ROUNDS = 3
_CREATES = 60


@benchmark("expire_storm_create")
def expire_storm_create(bench: Bench) -> Iterator[Figure]:
    """Latency of ``POST /payments/checkout/create`` with and without a storm, in turns."""
    market, creates = Marketplace(bench.installation.stack), bench.sized(_CREATES)
    market.create("to warm up", 1)
    quiet: list[float] = []
    storm: list[float] = []
    for number in bench.rounded(_ROUNDS):
        # Enough to last longer than the creates: a full bucket's worth goes at once.
        count = math.ceil(bench.installation.share * (creates * EVERY_SECONDS + 2))
        windows = Windows(bench, count, f"expire_storm_create, round {number + 1}")
        bench.installation.wait_until_idle()
        quiet += latencies(market, creates)
        windows.load([datetime.now(UTC) - timedelta(milliseconds=count - position) for position in range(count)])
        bench.installation.wait(partial(_begun, windows, count), "the storm to begin")
        storm += latencies(market, creates)
        left = windows.open()
        windows.wait()
        bench.installation.wait_until_idle()
    note = f"{len(storm)} checkouts each; {left} of {count} windows were still open after the last"
    aim = Aim("ratio", "at most", 1.5)
    p99, p50 = ([percentile(series, percent) * 1000 for series in (storm, quiet)] for percent in (99, 50))
    yield Figure("expire_storm_create", p99[0], "ms", p99[1], aim, f"p99; {note}")
    yield Figure("expire_storm_create_p50", p50[0], "ms", p50[1], note="half of them")


def _begun(windows: Windows, count: int) -> bool:
    return windows.open() < count
