"""Installations side by side, each in a process of its own, which share the runs among them.

A run waits as much as it works, for heartbeats that have to be missed, above all: two installations keep two cores busy.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from chaos.audit import Violation
from chaos.ground import Ground, prepared
from chaos.plans import draw, storage_of
from chaos.runner import Result, play

from paywindow.embedded.processes import die_with_parent

_Seeds = SimpleQueue[int | None]
_Results = SimpleQueue[Result | None]


def results(seeds: Sequence[int], purchases: int, jobs: int, evidence: Path) -> Iterator[Result]:
    """Play all runs; each result as it comes. The logs of runs with violations are put into ``evidence``."""
    context = multiprocessing.get_context("spawn")
    todo: _Seeds = context.SimpleQueue()
    done: _Results = context.SimpleQueue()
    workers = [context.Process(target=_work, args=(todo, done, purchases, evidence)) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    # Those that keep their receipts at the same place come together: moving costs a restart.
    for seed in sorted(seeds, key=lambda seed: (storage_of(seed), seed)):
        todo.put(seed)
    for _ in workers:
        todo.put(None)
    try:
        yield from _collected(done, workers)
    except BaseException:  # somebody does not want the rest
        for worker in workers:
            worker.terminate()
        raise
    finally:
        for worker in workers:
            worker.join()


def _collected(done: _Results, workers: Sequence[BaseProcess]) -> Iterator[Result]:
    running = len(workers)
    while running:
        result = done.get()
        if result is None:
            running -= 1
        else:
            yield result


def _work(todo: _Seeds, done: _Results, purchases: int, evidence: Path) -> None:
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _leave)
    seed = todo.get()
    while seed is not None:
        seed = _work_on_one_installation(seed, todo, done, purchases, evidence)
    done.put(None)


def _leave(signum: int, frame: object) -> None:
    """As an error, so that everything that was started is stopped on the way out."""
    del signum, frame
    sys.exit(1)


def _work_on_one_installation(
    seed: int | None, todo: _Seeds, done: _Results, purchases: int, evidence: Path
) -> int | None:
    """Play runs until there are no more, or until one leaves the installation unusable; the seed to go on with."""
    playing = seed
    try:
        with tempfile.TemporaryDirectory(prefix="paywindow-chaos-") as folder, prepared(Path(folder) / "it") as ground:
            while playing is not None:
                result = play(ground, draw(playing, purchases))
                if result.violations:
                    _keep_logs(ground, evidence / f"seed-{playing}")
                done.put(result)
                playing = todo.get()
                if not result.settled:
                    break
    except Exception:
        # The processes that outlive it are told here, too.
        failure = Violation("installation", f"about seed {playing}", traceback.format_exc(limit=-6))
        done.put(Result(playing or 0, "", 0, violations=[failure]))
        return todo.get() if playing is not None else None
    return playing


def _keep_logs(ground: Ground, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ground.logs, folder)
    os.utime(folder)
