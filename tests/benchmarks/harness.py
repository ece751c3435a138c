"""What a benchmark is, how it is found, and what it is handed.

A benchmark is a function of a module in ``rows/``, marked with :func:`benchmark`; adding a module there adds its rows. It
measures against its baseline in the same run, in turns, and yields :class:`Figure` objects as it knows them. What is a figure
of this machine alone has no baseline and is printed as it is.
"""

import importlib
import pkgutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.installation import Installation, installed
from rich.progress import Progress

_ROWS_FOLDER = Path(__file__).parent / "rows"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should reach: its ratio to the baseline, or its value where there is none."""

    of: Literal["ratio", "value"]
    bound: Literal["at least", "at most"]
    limit: float

    def __str__(self) -> str:
        sign = "≥" if self.bound == "at least" else "≤"
        return f"{'ratio ' if self.of == 'ratio' else ''}{sign} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: ``value`` and ``baseline`` in ``unit``; ``note`` says what else was seen.

    ``series``: all that was measured, in ``unit``, by whose it is, for the picture of how it is spread.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    aim: Aim | None = None
    note: str = ""
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times the baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def measure(self) -> float | None:
        """What the aim is about; ``None`` without one."""
        if self.aim is None:
            return None
        return self.ratio if self.aim.of == "ratio" else self.value

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; ``None`` without one."""
        if self.aim is None:
            return None
        found = self.measure
        if found is None:
            return False
        return found >= self.aim.limit if self.aim.bound == "at least" else found <= self.aim.limit


class Bench:
    """What a benchmark is handed: sizes, a progress bar, and the installation that all benchmarks of a run share."""

    def __init__(self, progress: Progress, rows: int | None, resources: ExitStack):
        self.progress = progress
        self._rows = rows
        self._resources = resources
        self._installation: Installation | None = None

    def sized(self, rows: int) -> int:
        """``rows``, or the number that the run was shrunk to."""
        return rows if self._rows is None else min(rows, self._rows)

    def rounded(self, rounds: int) -> range:
        """The rounds of a benchmark; one is enough for a run that was shrunk."""
        return range(rounds if self._rows is None else 1)

    @property
    def installation(self) -> Installation:
        """The whole product as processes, started when first asked for."""
        if self._installation is None:
            self._installation = self._resources.enter_context(installed(self.progress.console.print))
        return self._installation


Measure = Callable[[Bench], Iterator[Figure]]
_BENCHMARKS: dict[str, Measure] = {}


def benchmark(name: str) -> Callable[[Measure], Measure]:
    """Make a function a benchmark. ``name`` is its first row's, and what ``ONLY`` selects it by."""

    def register(measure: Measure) -> Measure:
        _BENCHMARKS[name] = measure
        return measure

    return register


def benchmarks() -> dict[str, Measure]:
    """All benchmarks by name, in the order of their modules' names."""
    for module in sorted(found.name for found in pkgutil.iter_modules([str(_ROWS_FOLDER)])):
        importlib.import_module(f"benchmarks.rows.{module}")
    return dict(_BENCHMARKS)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which ``percent`` of ``values`` lie."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
