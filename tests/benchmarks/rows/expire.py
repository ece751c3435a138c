"""``expire``: many windows due at once are closed as fast as the sweeps' share of Stripe's rate limit allows, in order."""

import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.windows import Closing, Windows

_ROUNDS = 3
_SECONDS = 40


@benchmark("expire")
def expire(bench: Bench) -> Iterator[Figure]:
    """Windows closed per second of an overload."""
    share = bench.installation.share
    count = bench.sized(round(share * (_SECONDS + 1)))
    rounds = [_overload(bench, count, number) for number in bench.rounded(_ROUNDS)]
    note = f"{count} windows due at once; {sum(c.tries > 0 for r in rounds for c in r)} put off by a 429"
    speeds = [_speed(closings, share) for closings in rounds]
    yield Figure("expire", statistics.median(speeds), "windows/s", share, Aim("ratio", "at least", 0.95), note)
    moved = [places for closings in rounds for places in _places_out_of_turn(closings)]
    yield Figure(
        "expire_order",
        percentile(moved, 99),
        "places",
        aim=Aim("value", "at most", share),
        note=f"p99 of how far from its turn a window was closed; on average {statistics.mean(moved):.1f}",
    )


def _overload(bench: Bench, count: int, number: int) -> list[Closing]:
    windows = Windows(bench, count, f"expire, round {number + 1}")
    now = datetime.now(UTC)
    windows.load([now - timedelta(milliseconds=count - position) for position in range(count)])
    closings = windows.wait()
    bench.installation.wait_until_idle()
    return closings


def _speed(closings: Sequence[Closing], share: float) -> float:
    """Windows per second beyond the one second's worth that a full bucket lets through at once."""
    took = (closings[-1].at - closings[0].at).total_seconds()
    sustained = len(closings) - share if len(closings) > 2 * share else len(closings)
    return sustained / took


def _places_out_of_turn(closings: Sequence[Closing]) -> list[float]:
    """How many places each window was closed before or after its turn by deadline."""
    turns = sorted(range(len(closings)), key=lambda place: closings[place].deadline)
    return [float(abs(turn - place)) for turn, place in enumerate(turns)]
