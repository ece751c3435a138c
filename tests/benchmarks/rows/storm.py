"""``storm``: what an evening's end does to somebody who opens a checkout: windows expire, receipts are drawn, all at once."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.checkouts import latencies
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.windows import Windows

from paywindow.cli.demo import Marketplace

_WINDOWS = 10_000
_RECEIPTS = 500
_CREATES = 150
_STORED = "SELECT count(*) FROM receipts WHERE buyer_id = %s AND stored_at IS NOT NULL"


@benchmark("storm")
def storm(bench: Bench) -> Iterator[Figure]:
    """The same checkouts before the storm and in it."""
    installation, creates = bench.installation, bench.sized(_CREATES)
    windows = Windows(bench, bench.sized(_WINDOWS), "storm")
    paid = Windows(bench, bench.sized(_RECEIPTS), "storm, receipts")
    market = Marketplace(installation.stack)
    market.create("to warm up", 1)
    installation.wait_until_idle()
    quiet = latencies(market, creates)
    with installation.without("worker-receipts"):
        paid.load([page.expires_at for page in paid.pages])
        paid.pay()
    count, now = len(windows.pages), datetime.now(UTC)
    windows.load([now - timedelta(milliseconds=count - position) for position in range(count)])
    installation.wait(lambda: windows.open() < count and _drawn(bench, paid) > 0, "the storm to begin")
    began = time.monotonic()
    stormy = latencies(market, creates)
    seconds = time.monotonic() - began
    note = (
        f"p99; {creates} checkouts each; in {seconds:.0f} s {count - windows.open()} of {count} windows were closed and "
        f"{_drawn(bench, paid)} of {len(paid.pages)} receipts drawn"
    )
    windows.call_off()
    installation.wait_until_idle()
    series = {"in the storm": [each * 1000 for each in stormy], "before it": [each * 1000 for each in quiet]}
    p99, p50 = ([percentile(each, percent) for each in series.values()] for percent in (99, 50))
    yield Figure("storm", p99[0], "ms", p99[1], Aim("ratio", "at most", 1.5), note, series)
    yield Figure("storm_p50", p50[0], "ms", p50[1], note="half of them")


def _drawn(bench: Bench, paid: Windows) -> int:
    """How many of their receipts are drawn and stored."""
    ((stored,),) = bench.installation.query(_STORED, paid.buyer)
    return int(stored)
