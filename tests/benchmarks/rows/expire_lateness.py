"""``expire_lateness``: windows due at 60% of the sweeps' share are closed within two seconds of their deadlines."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.windows import Windows

_LOAD = 0.6
_SECONDS = 30
#: The first deadline is this far away when the rows are loaded, so that none is late by the loading itself.
_AHEAD = timedelta(seconds=4)


@benchmark("expire_lateness")
def expire_lateness(bench: Bench) -> Iterator[Figure]:
    """How long after its deadline a window is closed."""
    per_second = _LOAD * bench.installation.share
    count = bench.sized(int(per_second * _SECONDS))
    windows = Windows(bench, count, "expire_lateness")
    first = datetime.now(UTC) + _AHEAD
    windows.load([first + timedelta(seconds=position / per_second) for position in range(count)])
    late = [closing.late_seconds for closing in windows.wait()]
    bench.installation.wait_until_idle()
    note = f"{count} windows, {per_second:g} due a second; the earliest {min(late):.3f} s, the latest {max(late):.3f} s"
    yield Figure("expire_lateness", percentile(late, 99), "s", aim=Aim("value", "at most", 2), note=f"p99; {note}")
    yield Figure("expire_lateness_p50", percentile(late, 50), "s", note="half of them")
