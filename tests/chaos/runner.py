"""One run: the purchases of a seed and the storm that it brings, the calm after it, and the audit."""

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos import stories
from chaos.audit import Violation, audit
from chaos.crowd import Crowd
from chaos.ground import Ground
from chaos.market import Market, Steps
from chaos.plans import Run
from chaos.recovery import Times
from chaos.settling import NeverSettles, Settling
from chaos.storm import Storm, Struck

CLIENTS = 16


@dataclass
class Result:
    """What became of a run. ``seconds``: of real time, for each of its parts; ``settled``: whether another can follow it."""

    seed: int
    storage: str
    purchases: int
    struck: list[Struck] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    recovery: Times = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    settled: bool = False


def play(ground: Ground, run: Run) -> Result:
    """Play a run to its end. Whatever goes wrong is in the result; a run that never settles cannot be followed by another."""
    result = Result(run.seed, run.storage, len(run.plans))
    watch = _StopWatch(result)
    ground.begin(run.storage)
    market = Market(ground.shop.stack.front_url, ground.shop.stack.service_key)
    crowd = Crowd(list(_stories(ground, run, market)), CLIENTS)
    storm = Storm(ground, run.blows, lambda: crowd.begun)
    watch.lap("beginning")
    ground.recovery.start()
    crowd.start()
    storm.start()
    try:
        storm.join()
        watch.lap("storm")
        ground.lift()
        watch.lap("lifting")
        settling = Settling(ground, crowd)
        settling.settle()
        result.settled = True
        watch.lap("settling")
        attempts = ground.shop.stripe.webhooks()["attempts"]
        result.recovery = ground.recovery.stop(attempts)
        result.violations += audit(ground, market)
        _count(result, ground, attempts)
        result.counts["dead letters run again"] = len(settling.run_again)
    except NeverSettles as error:
        result.violations.append(Violation("settles", f"seed {run.seed}", str(error)))
    except Exception:
        result.violations.append(Violation("harness", f"seed {run.seed}", traceback.format_exc(limit=-6)))
    finally:
        crowd.stop()
        ground.recovery.abandon()
        ground.shop.thaw("scheduler")
    watch.lap("audit")
    result.struck = sorted(storm.struck, key=lambda each: each.at)
    result.violations += [Violation("harness", f"seed {run.seed}", text) for text in (*crowd.broken, *storm.broken)]
    return result


def _stories(ground: Ground, run: Run, market: Market) -> Iterator[tuple[str, Steps[None]]]:
    for maker in run.sellers[:2]:
        yield f"seller {maker}", _seller(market, maker)
    for plan in run.plans:
        courses = [stories.TOLD[plan.course], *([stories.echo] if plan.course in stories.ECHOED else [])]
        for course in courses:
            purchase = stories.Purchase(plan, run.sellers, market, ground.shop.stripe, ground.clock, ground.board)
            yield plan.name, course(purchase)


def _seller(market: Market, maker: str) -> Steps[None]:
    yield from market.command(f"/payments/makers/{maker}/account", {}, f"seller-{maker}")


def _count(result: Result, ground: Ground, attempts: list[dict[str, object]]) -> None:
    """What the run was made of, for whoever wonders whether anything happened."""
    for row in ground.books.rows("SELECT status, count(*) AS n FROM payment_sessions GROUP BY status"):
        result.counts[f"sessions {row['status']}"] = row["n"]
    result.counts["charges"] = sum(1 for each in ground.shop.stripe.ledger()["charges"] if each["paid"])
    result.counts["webhooks"] = len(attempts)
    result.counts["notifications"] = len(ground.board.bodies)
    result.counts["notifications repeated"] = ground.board.repeats
    result.counts["receipts"] = ground.books.value("SELECT count(*) AS n FROM receipts")
    findings = "SELECT count(*) AS n FROM reconciliation_findings WHERE outcome = 'repaired'"
    result.counts["differences repaired"] = ground.books.value(findings)


class _StopWatch:
    def __init__(self, result: Result) -> None:
        self._result = result
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._result.seconds[name] = round(now - self._last, 1)
        self._last = now
