"""Pictures of a run: every figure beside its aim, and how latencies are spread."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from benchmarks.harness import Figure

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

_REACHED, _MISSED = "#2a7", "#c43"


def draw(folder: Path, figures: Sequence[Figure]) -> list[Path]:
    """Draw what there is to draw; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if with_aims := [each for each in figures if each.aim is not None and each.measure]:
        drawn.append(_aims(folder / "bench-aims.png", with_aims))
    if with_series := [each for each in figures if each.series]:
        drawn.append(_latencies(folder / "bench-latencies.png", with_series))
    return drawn


def _aims(path: Path, figures: Sequence[Figure]) -> Path:
    """How far each figure is beyond its aim (to the right), or short of it, in powers of two."""
    figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(figures) + 1.2), layout="constrained")
    names = [f"{each.name} ({each.aim})" for each in figures]
    beyond = [math.log2(_beyond(each)) for each in figures]
    axes.barh(names, beyond, color=[_REACHED if each.met else _MISSED for each in figures])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(ticker.MultipleLocator(1))
    axes.xaxis.set_major_formatter(lambda place, _: f"{2**place:g}×")
    axes.set_xlabel("how many times as good as the aim")
    return _saved(figure, path)


def _beyond(figure: Figure) -> float:
    assert figure.aim is not None
    assert figure.measure is not None
    times = figure.measure / figure.aim.limit
    return times if figure.aim.bound == "at least" else 1 / times


def _latencies(path: Path, figures: Sequence[Figure]) -> Path:
    """The share of all that took no longer than so long."""
    rows = math.ceil(len(figures) / 2)
    canvas, grid = pyplot.subplots(rows, 2, figsize=(10, 3 * rows), squeeze=False, layout="constrained")
    for axes, figure in zip(grid.flat, figures, strict=False):
        for name, values in figure.series.items():
            axes.ecdf(values, label=f"{name}, {len(values)}")
        axes.set(title=figure.name, xlabel=figure.unit, xscale="log", ylim=(0, 1))
        axes.legend(loc="lower right")
    for axes in list(grid.flat)[len(figures) :]:
        axes.remove()
    return _saved(canvas, path)


def _saved(figure: "matplotlib.figure.Figure", path: Path) -> Path:
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
