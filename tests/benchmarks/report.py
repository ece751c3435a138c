"""What a run leaves: a table on the terminal, and ``bench.json`` for whoever compares runs."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Figure
from rich.console import Console
from rich.table import Table

_VERDICTS = {None: "", True: "[green]reached[/green]", False: "[red]missed[/red]"}


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print the figures with the size of the machine, on which all but the ratios depend."""
    title = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}: only ratios travel"
    table = Table(title=title, title_justify="left")
    table.add_column("name", no_wrap=True)
    for name in ("value", "baseline", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("aim", "", "what"):
        table.add_column(name)
    for figure in figures:
        table.add_row(
            figure.name,
            f"{_short(figure.value)} {figure.unit}",
            _short(figure.baseline),
            _short(figure.ratio),
            str(figure.aim or ""),
            _VERDICTS[figure.met],
            figure.note,
        )
    console.print(table)


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Write a list of ``{name, value, unit, baseline, ratio}``; ``baseline`` and ``ratio`` are null where there is none."""
    rows = [
        {
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "baseline": figure.baseline,
            "ratio": figure.ratio,
        }
        for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:,.3g}" if abs(number) < 100 else f"{number:,.0f}"
