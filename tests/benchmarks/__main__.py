"""``make bench``: run the benchmarks, show a table, write ``build/bench.json`` and pictures beside it.

``ROWS`` shrinks every row count to at most that many, ``ONLY`` (names, comma-separated) selects benchmarks, ``OUTPUT`` names
another file than ``build/bench.json``. Run as ``PYTHONPATH=tests python -m benchmarks``.
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import Bench, Figure, Measure, benchmarks
from benchmarks.plots import draw
from benchmarks.report import show, write
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def main() -> None:
    """Run what the environment selects. A benchmark that breaks ends the run with its traceback."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    chosen = _chosen(os.environ.get("ONLY", ""))
    rows = int(os.environ["ROWS"]) if os.environ.get("ROWS") else None
    figures = _run(console, chosen, rows)
    show(console, figures)
    output = Path(os.environ.get("OUTPUT") or "build/bench.json")
    write(output, figures)
    pictures = draw(output.parent, figures)
    console.print("written:", *(str(path) for path in (output, *pictures)))


def _chosen(only: str) -> dict[str, Measure]:
    known = benchmarks()
    names = [name.strip() for name in only.split(",") if name.strip()] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"ONLY: no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: known[name] for name in names}


def _run(console: Console, chosen: dict[str, Measure], rows: int | None) -> list[Figure]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    figures: list[Figure] = []
    with ExitStack() as resources:
        progress = resources.enter_context(Progress(*columns, console=console))
        bench = Bench(progress, rows, resources)
        overall = progress.add_task("benchmarks", total=len(chosen))
        for measure in chosen.values():
            figures += measure(bench)
            progress.advance(overall)
    return figures


if __name__ == "__main__":
    main()
