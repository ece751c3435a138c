"""The product as it is run, for benchmarks: embedded services, the sandbox with Stripe's rate limit on, all processes."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis
import requests
from prometheus_client.parser import text_string_to_metric_families
from psycopg2.extensions import connection

from paywindow.budget import SWEEP_SHARE
from paywindow.embedded.stack import Stack, running_stack
from paywindow.sandbox.control_client import ControlClient
from paywindow.settings import Settings

#: Requests per second: what the sandbox allows, and what the workers are told that Stripe allows. Twice Stripe's limit for a
#: test key; ``STRIPE_RATE_LIMIT`` sets another, and one far too high shows what the machine can do at most.
RATE_LIMIT = int(os.environ.get("STRIPE_RATE_LIMIT", "50"))
_PATIENCE_SECONDS = 300.0
_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything up and ready. ``share``: calls per second that the sweeps may make."""

    stack: Stack
    database: connection
    broker: "redis.Redis"
    sandbox: ControlClient
    share: float = RATE_LIMIT * SWEEP_SHARE

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and commit."""
        with self.database, self.database.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def limit(self, rate: int | None) -> None:
        """Set the sandbox's rate limit; ``None`` lifts it, to prepare a benchmark."""
        self.sandbox.call("POST", "/rate-limit", rate=rate)

    def measured(self, process: str, name: str, **labels: str) -> float:
        """The sum of a process's samples of this name whose labels begin so."""
        port = self.stack.metrics_ports[process]
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=_TIMEOUT_SECONDS).text
        samples = [
            each for family in text_string_to_metric_families(text) for each in family.samples if each.name == name
        ]
        return sum(
            each.value
            for each in samples
            if all(each.labels.get(label, "").startswith(value) for label, value in labels.items())
        )

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Processes of these names are stopped for the block, and started again after it."""
        for name in names:
            self.stack.processes.pop(name).stop()
        try:
            yield
        finally:
            for name in names:
                self.stack.start(name)

    def restore_limit(self) -> None:
        """Set it to what it is at the start of every benchmark."""
        self.limit(RATE_LIMIT)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition. Raises :class:`TimeoutError` when it does not come, and when a process has ended."""
        wait_for(lambda: self.stack.check() or condition(), what)

    def wait_until_idle(self) -> None:
        """Let follow-ups and webhooks of what was measured end, so that they do not burden what comes next."""
        self.wait(self._idle, "the queues to run empty")

    def _idle(self) -> bool:
        queued = sum(self.broker.hlen(queue) for queue in self.broker.scan_iter("dramatiq:*.msgs"))
        unsettled = (
            "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM stripe_events WHERE handled_at IS NULL)"
        )
        return queued == 0 and self.query(unsettled) == [(0,)]


def wait_for(condition: Callable[[], object], what: str, *, poll_seconds: float = _POLL_SECONDS) -> None:
    """Wait until ``condition`` gives something true. Raises :class:`TimeoutError` when it does not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(poll_seconds)


@contextmanager
def installed(say: Callable[[str], None]) -> Iterator[Installation]:
    """Start everything in a folder of its own, whatever services the environment names, and leave nothing behind."""
    ours = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in ours}
    environment["STRIPE_RATE_LIMIT"] = str(RATE_LIMIT)
    with (
        tempfile.TemporaryDirectory(prefix="paywindow-bench-") as folder,
        running_stack(Path(folder), environment, say=lambda step: say(f"[dim]{step}[/dim]")) as stack,
        closing(psycopg2.connect(stack.environment["DATABASE_URL"])) as database,
        redis.Redis.from_url(stack.environment["REDIS_URL"]) as broker,
    ):
        assert stack.sandbox_url is not None
        installation = Installation(stack, database, broker, ControlClient(stack.sandbox_url))
        installation.restore_limit()
        yield installation
