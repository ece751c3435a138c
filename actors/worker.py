"""The module that the dramatiq command line imports in each worker process: ``dramatiq paywindow.actors.worker:broker``.

Importing it connects the process; nothing else imports it. Start it by ``paywindow worker``.
"""

import os
import signal
import threading
from typing import Any

import redis
from dramatiq import Worker
from dramatiq.middleware import Middleware

from paywindow import error_reports, logs
from paywindow.actors import registry, runtime
from paywindow.broker import SOCKET_TIMEOUT_SECONDS, make_broker
from paywindow.embedded.processes import die_with_parent
from paywindow.heartbeats import Heart
from paywindow.metrics_server import ServeMetrics
from paywindow.queue_metrics import CountMessages
from paywindow.receipts import renderer
from paywindow.settings import Role, Settings, secret

WATCHDOG_SECONDS = 5


class Watchdog(Middleware):
    """Ends the process with its master, and when one of its threads died: half a worker looks alive and does nothing."""

    def __init__(self) -> None:
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
        while not self._stopping.wait(WATCHDOG_SECONDS):
            if not all(thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()]):
                os.kill(os.getpid(), signal.SIGKILL)


class EndRenderers(Middleware):
    """Ends the renderers that wait for receipts; their folders would stay behind."""

    def after_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        """Nothing is drawn any more."""
        del broker, worker
        renderer.close()


class SignOfLife(Middleware):
    """Says that this process is alive, which queues it serves and how many connections it may take."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heart: Heart | None = None

    def after_worker_boot(self, broker: Any, worker: Worker) -> None:
        """Begin."""
        del broker
        client = redis.Redis.from_url(
            self._settings.state_url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        )
        self._heart = Heart(client, "worker", list(worker.consumers), self._settings.database_pool_size)
        self._heart.start()

    def after_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        """End."""
        del broker, worker
        if self._heart is not None:
            self._heart.stop()


settings = Settings.load(Role.WORKER)
logs.configure(settings, "worker")
error_reports.start(settings, "worker")
broker = make_broker(
    secret(settings.redis_url), Watchdog(), EndRenderers(), SignOfLife(settings), CountMessages(), ServeMetrics()
)
runtime.start(settings, broker)
registry.declare(broker)
