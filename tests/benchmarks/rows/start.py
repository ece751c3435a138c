"""``start``: how long our processes take until they are ready, and the memory they then have."""

import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cpu import family, memory_bytes
from benchmarks.harness import Aim, Bench, Figure, benchmark
from benchmarks.installation import wait_for

from paywindow.embedded.ports import LOOPBACK, free_port
from paywindow.embedded.processes import Supervised, spawn

_ROUNDS = 5
_POLL_SECONDS = 0.005


@benchmark("start")
def start(bench: Bench) -> Iterator[Figure]:
    """Front end and worker in turns, each beside an installation that is idle."""
    bench.installation.wait_until_idle()
    task = bench.progress.add_task("start", total=2 * _ROUNDS)
    found: dict[str, list[tuple[float, float]]] = {"front": [], "worker": []}
    for _ in bench.rounded(_ROUNDS):
        for name, measured in found.items():
            measured.append(_start(bench, name))
            bench.progress.advance(task)
    bench.progress.remove_task(task)
    for name, measured in found.items():
        seconds, megabytes = (statistics.median(values) for values in zip(*measured, strict=True))
        yield Figure(f"start_{name}", seconds, "s", aim=Aim("value", "at most", 1), note="start to ready")
        note = "resident, its part of shared pages" + (", master included" if name == "worker" else "")
        yield Figure(f"start_{name}_memory", megabytes, "MB", aim=Aim("value", "at most", 120), note=note)


def _start(bench: Bench, name: str) -> tuple[float, float]:
    """Seconds until it is ready, and megabytes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="paywindow-bench-")))
        port = free_port()
        more = {"FRONT_PORT": str(port), "METRICS_PORT": str(free_port())}
        if name == "worker":
            more["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
        environment = {**bench.installation.stack.environment, **more}
        began = time.perf_counter()
        process = spawn([sys.executable, "-m", "paywindow.cli", name], env=environment, log_path=folder / "log")
        stack.callback(process.stop)
        wait_for(
            lambda: not process.running or (_answers(port) if name == "front" else _works(process)),
            f"the {name}",
            poll_seconds=_POLL_SECONDS,
        )
        seconds = time.perf_counter() - began
        if not process.running:
            raise RuntimeError(f"the {name} ended:\n{process.log_tail()}")
        return seconds, sum(map(memory_bytes, family([process.pid]))) / 1e6


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _works(worker: Supervised) -> bool:
    return "ready for action" in worker.log_tail()
