"""Serving metrics to Prometheus, each process role on a port of its own.

A worker role is several processes: each writes its numbers into files in ``PROMETHEUS_MULTIPROC_DIR``, and one more process,
which dramatiq's master starts beside the workers, adds them up. The variable must be set, and the folder be empty, before
anything imports prometheus_client: ``paywindow worker`` does that before it becomes the master.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from dramatiq.middleware import Middleware

from paywindow.embedded.processes import die_with_parent
from paywindow.settings import Role, Settings

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare_folder(environment: MutableMapping[str, str]) -> None:
    """Give the workers that are about to start an empty folder: the one that the variable names, or a new one."""
    folder = Path(environment.get(FOLDER_VARIABLE) or tempfile.mkdtemp(prefix="paywindow-metrics-"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment[FOLDER_VARIABLE] = str(folder)


def serve(settings: Settings) -> None:
    """Serve this process's metrics from a thread, if ``METRICS_PORT`` is set. Raises :class:`OSError` if it is taken."""
    from prometheus_client import start_http_server

    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.metrics_host)


def serve_workers() -> int:
    """The process beside the workers: serve what all of them counted, until told to stop."""
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    die_with_parent()
    settings = Settings.load(Role.WORKER)
    if settings.metrics_port is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, os.environ[FOLDER_VARIABLE])  # type: ignore[no-untyped-call]
        start_http_server(settings.metrics_port, settings.metrics_host, registry)
    while True:
        signal.pause()


class ServeMetrics(Middleware):
    """Has dramatiq's master start :func:`serve_workers`."""

    @property
    def forks(self) -> list[Callable[[], Any]]:
        """What the master starts beside the workers."""
        return [serve_workers]
