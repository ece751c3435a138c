"""A worker that is told to end hands over what it has not begun, at once.

Dramatiq's worker goes on fetching while its threads finish, and gives everything back at the very end: behind one call that
hangs, messages that nobody works on would wait for up to the shutdown's limit. Here nothing is fetched from the signal on, and
what waits in memory is back in Redis before the threads are waited for. Consumers stay alive meanwhile: their heartbeat is what
keeps other workers from beginning with a message that is still at work here.
"""

import logging
from itertools import groupby
from operator import attrgetter
from typing import Any

from dramatiq import Worker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Middleware

from paywindow.work_queue import WorkQueue

logger = logging.getLogger(__name__)

_QUEUE = attrgetter("queue_name")


class HandOver(Middleware):
    """Gives a worker its :class:`~paywindow.work_queue.WorkQueue`, and empties that when the worker is to end."""

    def before_worker_boot(self, broker: Any, worker: Worker) -> None:
        """Before its threads and consumers are made."""
        broker.draining.clear()
        worker.work_queue = WorkQueue(worker.worker_threads, worker.consumer_whitelist or broker.get_declared_queues())

    def before_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        """Before its threads are waited for."""
        broker.draining.set()
        queue: Any = worker.work_queue
        queue.close(lambda messages: _give_back(worker, messages))


def _give_back(worker: Worker, messages: list[Any]) -> None:
    for name, of_queue in groupby(sorted(messages, key=_QUEUE), key=_QUEUE):
        handed_over = list(of_queue)
        try:
            worker.consumers[name].requeue_messages(handed_over)
        except BrokerConnectionError:
            # Other workers take them when this one's heartbeats have been missed.
            logger.warning("%d messages could not be handed over", len(handed_over), extra={"queue": name})
        else:
            logger.info("%d messages handed over", len(handed_over), extra={"queue": name})
