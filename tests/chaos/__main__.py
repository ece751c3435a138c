"""``make chaos``: runs of purchases under faults, from SEED on, RUNS of them with PURCHASES each, on JOBS installations;
then DRILLS of each kind of recovery, with nothing else going on.

Ends with 1 when anything was violated. Goes on after a violation; all of them are told at the end.
"""

import os
import sys
from pathlib import Path

from chaos import report
from chaos.drills import drill
from chaos.jobs import results
from chaos.plans import draw
from rich.console import Console

_BUILD = Path("build")
#: Violations of a run that are told before the end.
_TOLD_AT_ONCE = 3


def main() -> int:
    """Play, report, and say whether all held."""
    seed, runs = _number("SEED", 1), _number("RUNS", 10)
    purchases, jobs = _number("PURCHASES", 200), min(_number("JOBS", 2), _number("RUNS", 10))
    console = Console(soft_wrap=True)
    if "DRAW" in os.environ:
        _show_plan(console, seed, purchases)
        return 0
    console.print(f"{runs} runs of {purchases} purchases from seed {seed} on, {jobs} at a time")
    found, drills = [], {}
    try:
        for result in results(range(seed, seed + runs), purchases, jobs, _BUILD / "chaos"):
            found.append(result)
            console.print(report.line(result), highlight=False, style="red" if result.violations else None)
            for violation in result.violations[:_TOLD_AT_ONCE]:
                console.print(f"    {violation}", highlight=False, markup=False)
            report.write(_BUILD / "chaos.json", found, drills)  # what an interrupted series has found is not lost
        if times := _number("DRILLS", 5, least=0):
            console.print(f"{times} drills of each kind of recovery")
            drills = drill(times)
    finally:
        found.sort(key=lambda result: result.seed)
        report.show(console, found, drills)
        report.write(_BUILD / "chaos.json", found, drills)
    return int(any(result.violations for result in found) or len(found) < runs)


def _show_plan(console: Console, seed: int, purchases: int) -> None:
    """What a seed stands for, without doing it."""
    run = draw(seed, purchases)
    for plan in run.plans:
        console.print(plan, highlight=False)
    for blow in run.blows:
        console.print(f"after {blow.after} purchases: {blow}", highlight=False)


def _number(name: str, default: int, least: int = 1) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        sys.exit(f"{name} must be a whole number from {least} on, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
