"""What a series of runs leaves: a line for each, a table of all, the story of each violation, and ``chaos.json``."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from chaos.faults.registry import faults
from chaos.recovery import Times
from chaos.runner import Result
from rich.console import Console
from rich.table import Table

#: From the blow to the next settlement, in seconds.
RECOVERY_AIM_SECONDS = 30.0


def line(result: Result) -> str:
    """A run in one line."""
    seconds = sum(result.seconds.values())
    hit = sum(struck.hit for struck in result.struck)
    return (
        f"seed {result.seed:<6} {result.storage:<6} {result.purchases:>5} purchases {hit:>4} faults {seconds:>7.1f} s "
        f"{len(result.violations):>3} violations"
    )


def show(console: Console, results: Sequence[Result], drills: Times) -> None:
    """Print the totals, the faults by kind, the recovery times, and what must not have happened."""
    table = Table(title="Chaos", title_justify="left", show_header=False)
    for name, value in _totals(results).items():
        table.add_row(name, f"{value:,}")
    console.print(table)
    console.print(_faults_table(results))
    console.print(_recovery_table({**_recovery(results), **drills}))
    for result in results:
        if result.violations:
            _tell(console, result)


def write(path: Path, results: Sequence[Result], drills: Times) -> None:
    """Write everything: the totals, and each run with its blows, violations and times."""
    document = {
        "totals": _totals(results),
        "faults": dict(_struck(results)),
        "recoverySeconds": {name: _percentiles(values) for name, values in {**_recovery(results), **drills}.items()},
        "runs": [
            asdict(result)
            | {"struck": [{"at": each.at, "fault": str(each.blow), "hit": each.hit} for each in result.struck]}
            for result in results
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, default=str) + "\n")


def _totals(results: Sequence[Result]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
    return {
        "runs": len(results),
        "purchases": sum(result.purchases for result in results),
        "faults injected": sum(_struck(results).values()),
        "violations": sum(len(result.violations) for result in results),
        "seconds of runs": round(sum(sum(result.seconds.values()) for result in results)),
        **counts,
    }


def _struck(results: Sequence[Result]) -> Counter[str]:
    return Counter(struck.blow.fault for result in results for struck in result.struck if struck.hit)


def _faults_table(results: Sequence[Result]) -> Table:
    struck = _struck(results)
    missed = Counter(each.blow.fault for result in results for each in result.struck if not each.hit)
    table = Table(title="Faults injected", title_justify="left")
    table.add_column("kind")
    table.add_column("struck", justify="right")
    table.add_column("found nothing to strike", justify="right")
    for name in faults():
        table.add_row(name, f"{struck[name]:,}", f"{missed[name]:,}" if missed[name] else "")
    return table


def _recovery(results: Sequence[Result]) -> Times:
    times: Times = defaultdict(list)
    for result in results:
        for name, values in result.recovery.items():
            times[name] += values
    return dict(sorted(times.items()))


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {
        name: ordered[min(int(len(ordered) * part), len(ordered) - 1)] for name, part in (("p50", 0.5), ("p99", 0.99))
    }
    return {"times": len(ordered), **at, "max": ordered[-1]}


def _recovery_table(times: Times) -> Table:
    title = f"Seconds from the blow to the next settlement (p99 should be below {RECOVERY_AIM_SECONDS:g})"
    table = Table(title=title, title_justify="left")
    table.add_column("after")
    for name in ("times", "p50", "p99", "max"):
        table.add_column(name, justify="right")
    for name, values in times.items():
        table.add_row(name, *(f"{value:g}" for value in _percentiles(values).values()))
    return table


def _tell(console: Console, result: Result) -> None:
    console.rule(f"seed {result.seed}: {len(result.violations)} violations", align="left")
    for struck in result.struck:
        console.print(
            f"  {struck.at:>6.1f} s  {struck.blow}{'' if struck.hit else ' (found nothing to strike)'}", markup=False
        )
    for violation in result.violations:
        console.print(str(violation), markup=False, style="red")
    again = f"make chaos SEED={result.seed} RUNS=1 PURCHASES={result.purchases}"
    console.print(f"again: {again}   logs: build/chaos/seed-{result.seed}", markup=False)
