"""An actor of the test's own, and workers in this process that run it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
from dramatiq import Worker

from paywindow.broker import Broker


def declare(broker: Broker, function: Callable[..., Any]) -> Any:
    """Make the function the actor ``job`` of the queue ``jobs``."""
    return dramatiq.Actor(function, broker=broker, actor_name="job", queue_name="jobs", priority=0, options={})


@contextmanager
def workers(broker: Broker) -> Iterator[Callable[[], Worker]]:
    """Call it to start a worker; all are stopped with the block."""
    started = []

    def start() -> Worker:
        worker = Worker(broker, worker_timeout=25, worker_threads=2)
        worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop()
