"""``growth``: the same work on two installations, one with a hundred times the history of the other in its tables."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import redis
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.history import load
from benchmarks.installation import Installation, installed
from benchmarks.settlements import Settlements, settlements
from benchmarks.snapshots import state_url

from paywindow import published
from paywindow.cli.demo import Marketplace

_MANY, _FEW = 1_000_000, 10_000
_TIMES = 60


@dataclass
class _Side:
    """One of the two, and what was measured on it, in seconds."""

    installation: Installation
    market: Marketplace
    payments: Settlements
    state: "redis.Redis"
    known: Sequence[uuid.UUID]
    settled: list[float] = field(default_factory=list)
    created: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)

    def step(self) -> None:
        """Each kind of work once."""
        self.settled.append(self.payments.one())
        self.created.append(_timed(lambda: self.market.create("Walnut side table", "275.50")))
        self.installation.wait_until_idle()
        # One that Redis does not know (any more) comes from the tables.
        forgotten = random.choice(self.known)
        self.state.delete(published.session_key(forgotten))
        self.read.append(_timed(lambda: self.market.status(str(forgotten))))

    def sweeps(self) -> tuple[float, float]:
        """Seconds that the sweeps have taken so far, and how many there were."""
        seconds, runs = (
            self.installation.measured("worker-sweeps", f"payments_message_duration_seconds_{kind}", actor="sweeps.")
            for kind in ("sum", "count")
        )
        return seconds, runs


@benchmark("growth")
def growth(bench: Bench) -> Iterator[Figure]:
    """In turns, so that whatever else the machine does burdens both."""
    many, few, rounds = bench.sized(_MANY), bench.sized(_FEW), bench.rounded(_TIMES)
    with ExitStack() as resources:
        sides = [_side(bench, count, resources) for count in (many, few)]
        before = [side.sweeps() for side in sides]
        task = bench.progress.add_task("growth", total=len(rounds))
        for _ in rounds:
            for side in sides:
                side.step()
            bench.progress.advance(task)
        bench.progress.remove_task(task)
        swept = [_mean(side.sweeps(), earlier) for side, earlier in zip(sides, before, strict=True)]
    large, small = sides
    at_most, note = Aim("ratio", "at most", 1.2), f"p50; {many:,} sessions and events against {few:,}"
    for name, of in _KINDS.items():
        yield Figure(f"growth_{name}", _p50(of(large)), "ms", _p50(of(small)), at_most, note)
    yield Figure("growth_sweep", swept[0] * 1000, "ms", swept[1] * 1000, at_most, "a run of a sweep, all kinds, mean")


_KINDS: dict[str, Callable[[_Side], list[float]]] = {
    "settle": lambda side: side.settled,
    "create": lambda side: side.created,
    "status": lambda side: side.read,
}


def _side(bench: Bench, count: int, resources: ExitStack) -> _Side:
    installation = resources.enter_context(installed(bench.progress.console.print))
    task = bench.progress.add_task(f"growth: loading {count:,} sessions", total=count)
    known = load(installation, count, lambda done: bench.progress.advance(task, done))
    bench.progress.remove_task(task)
    payments = resources.enter_context(settlements(installation))
    state = resources.enter_context(redis.Redis.from_url(state_url(installation.stack.environment)))
    side = _Side(installation, Marketplace(installation.stack), payments, state, known)
    side.step()  # warms caches and connections, and does not count
    side.settled, side.created, side.read = [], [], []
    return side


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _mean(now: tuple[float, float], earlier: tuple[float, float]) -> float:
    return (now[0] - earlier[0]) / max(1.0, now[1] - earlier[1])


def _p50(seconds: Sequence[float]) -> float:
    return percentile(seconds, 50) * 1000
