"""Our own processes die or stop without a word. A supervisor brings back what died."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground

WORKERS = ("worker-interactive", "worker-sweeps", "worker-receipts")


@fault("worker killed", "workers", (0, 0), victim=WORKERS)
def kill_worker(ground: "Ground", victim: str) -> Iterator[bool]:
    """SIGKILL to a worker's master and all its processes, at whatever it was doing."""
    ground.recovery.struck("worker kill")
    ground.shop.kill(victim)
    yield True


@fault("worker process killed", "workers", (0, 0), victim=WORKERS)
def kill_worker_process(ground: "Ground", victim: str) -> Iterator[bool]:
    """SIGKILL to the process that does a worker's work, and not to its master, as the kernel's memory killer would."""
    children = ground.children(ground.shop.stack.processes[victim].pid)
    # The one that does the work has the most threads.
    busiest = max(children, key=_threads, default=None)
    if busiest is not None:
        ground.recovery.struck("worker kill")
        os.kill(busiest, signal.SIGKILL)
    yield busiest is not None


def _threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:  # it has just ended
        return 0


@fault("worker frozen", "workers", (0.3, 2.5), victim=WORKERS)
def freeze_worker(ground: "Ground", victim: str) -> Iterator[bool]:
    """SIGSTOP for a while: it holds its connections, locks and messages, and goes on later as if nothing had been."""
    ground.shop.freeze(victim)
    yield True
    ground.shop.thaw(victim)


@fault("worker frozen until taken for dead", "workers", (11, 13), victim=WORKERS)
def freeze_worker_for_long(ground: "Ground", victim: str) -> Iterator[bool]:
    """SIGSTOP for longer than its heartbeats may be missed: its messages are worked on by others, and then by itself, too."""
    ground.shop.freeze(victim)
    yield True
    ground.shop.thaw(victim)


@fault("front end killed", "front", (0, 0))
def kill_front(ground: "Ground") -> Iterator[bool]:
    """SIGKILL, with requests and webhooks in its hands."""
    ground.shop.kill("front")
    yield True


@fault("front end frozen", "front", (0.3, 2))
def freeze_front(ground: "Ground") -> Iterator[bool]:
    """SIGSTOP: callers wait, webhooks time out."""
    ground.shop.freeze("front")
    yield True
    ground.shop.thaw("front")


@fault("scheduler killed", "scheduler", (0, 0))
def kill_scheduler(ground: "Ground") -> Iterator[bool]:
    """SIGKILL."""
    ground.shop.kill("scheduler")
    yield True
