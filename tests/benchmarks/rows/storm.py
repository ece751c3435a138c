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
_RECEIPTS_LEFT = "SELECT count(*) FROM receipts WHERE stored_at IS NULL"


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
    installation.wait(lambda: windows.open() < count and _drawn(bench), "the storm to begin")
    began = time.monotonic()
    stormy = latencies(market, creates)
    seconds = time.monotonic() - began
    note = (
        f"p99; {creates} checkouts each; in {seconds:.0f} s {count - windows.open()} of {count} windows were closed and "
        f"{len(paid.pages) - installation.query(_RECEIPTS_LEFT)[0][0]} of {len(paid.pages)} receipts drawn"
    )
    windows.call_off()
    installation.wait_until_idle()
    series = {"in the storm": [each * 1000 for each in stormy], "before it": [each * 1000 for each in quiet]}
    p99, p50 = ([percentile(each, percent) for each in series.values()] for percent in (99, 50))
    yield Figure("storm", p99[0], "ms", p99[1], Aim("ratio", "at most", 1.5), note, series)
    yield Figure("storm_p50", p50[0], "ms", p50[1], note="half of them")


def _drawn(bench: Bench) -> bool:
    """Whether receipts are being drawn, or all are."""
    return bool(
        bench.installation.query("SELECT EXISTS (SELECT FROM receipts WHERE stored_at > now() - interval '5 seconds')")[
            0
        ][0]
    )
