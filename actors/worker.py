"""The module that the dramatiq command line imports in each worker process: ``dramatiq paywindow.actors.worker:broker``.

Importing it connects the process; nothing else imports it. Start it by ``paywindow worker``.
"""

from typing import Any

import redis
from dramatiq import Worker
from dramatiq.middleware import Middleware

from paywindow import error_reports, logs
from paywindow.actors import publish, registry, runtime
from paywindow.actors.delays import TellOfDelays
from paywindow.actors.watchdog import NothingLeftOpen, Watchdog
from paywindow.broker import SOCKET_TIMEOUT_SECONDS, make_broker
from paywindow.heartbeats import Heart
from paywindow.metrics_server import ServeMetrics
from paywindow.queue_metrics import CountMessages
from paywindow.receipts import renderer
from paywindow.settings import Role, Settings, secret


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
    secret(settings.redis_url),
    Watchdog(),
    NothingLeftOpen(),
    TellOfDelays(),
    EndRenderers(),
    SignOfLife(settings),
    CountMessages(),
    ServeMetrics(),
)
runtime.start(settings, broker, publish.at_once)
registry.declare(broker)
