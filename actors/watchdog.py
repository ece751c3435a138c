"""What ends a worker process that looks alive and is not fit to work; its supervisor starts another.

SIGKILL, and no orderly end: that would acknowledge or wait for what is broken. The process's messages come back to others after
their heartbeats were missed.
"""

import logging
import os
import signal
import threading
from typing import Any

from dramatiq import Worker
from dramatiq.middleware import Middleware

from paywindow.embedded.processes import die_with_parent
from paywindow.models.database import database

logger = logging.getLogger(__name__)

WATCHDOG_SECONDS = 5


def end_process() -> None:
    """As a crash would, now."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog(Middleware):
    """Ends the process with its master, and when one of its threads died: half a worker looks alive and does nothing."""

    def __init__(self, seconds: float = WATCHDOG_SECONDS) -> None:
        self._seconds = seconds
        self._stopping = threading.Event()

    def after_process_boot(self, broker: Any) -> None:
        """Never outlive the master, even when that is killed."""
        del broker
        die_with_parent()

    def after_worker_boot(self, broker: Any, worker: Worker) -> None:
        """Start watching."""
        del broker
        threading.Thread(target=self._watch, args=(worker,), daemon=True, name="watchdog").start()

    def before_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        """Threads are meant to end now."""
        del broker, worker
        self._stopping.set()

    def _watch(self, worker: Worker) -> None:
        while not self._stopping.wait(self._seconds):
            if not all(thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()]):
                logger.critical("a thread of this worker died; the process ends")
                end_process()
                return


class NothingLeftOpen(Middleware):
    """Ends the process when a thread comes to a message with a transaction of an earlier one still open.

    Whatever was done in it would be acknowledged and never committed. Nothing known leads there (TimeLimit, which would, is left
    out); if something does, no message may be begun on that thread.
    """

    def before_process_message(self, broker: Any, message: Any) -> None:
        """Look before the actor runs."""
        del broker
        if database.transaction_depth():
            logger.critical("a transaction was left open before %s; the process ends", message.actor_name)
            end_process()
