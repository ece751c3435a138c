"""The whole of paywindow as processes on this machine: what `paywindow dev`, `paywindow demo` and the end-to-end tests run.

Postgres, Redis and the Stripe sandbox are embedded unless the environment names real ones (`DATABASE_URL`, `REDIS_URL`,
`STRIPE_SECRET_KEY`); every other setting of the environment is passed on, with working defaults for what is missing.
"""

import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from paywindow.embedded.errors import EmbeddedError
from paywindow.embedded.ports import LOOPBACK, free_port
from paywindow.embedded.postgres import EmbeddedPostgres
from paywindow.embedded.processes import Supervised, spawn
from paywindow.embedded.redis import EmbeddedRedis
from paywindow.keys import hash_service_key, new_service_key

READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
WORKERS = ("interactive", "sweeps", "receipts")


@dataclass
class Stack:
    """Started by :func:`running_stack`. Processes are known by name: ``front``, ``sandbox``, ``scheduler``, ``worker-<role>``."""

    folder: Path
    environment: dict[str, str]
    service_key: str
    front_url: str
    sandbox_url: str | None = None
    postgres: EmbeddedPostgres | None = None
    redis: EmbeddedRedis | None = None
    processes: dict[str, Supervised] = field(default_factory=dict)
    metrics_ports: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, *, known_as: str | None = None) -> Supervised:
        """Start (again) one of our processes; under a name of its own (``known_as``) beside the one that runs already."""
        command = {
            "front": ["front"],
            "scheduler": ["scheduler"],
            **{f"worker-{role}": ["worker", "--role", role] for role in WORKERS},
        }[name]
        known_as = known_as or name
        own = {"METRICS_PORT": str(self.metrics_ports.setdefault(known_as, free_port()))}
        if command[0] == "worker":
            own["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder / "metrics" / known_as)
        return self._spawn(known_as, command, **own)

    def stop(self) -> None:
        """Stop everything: the processes together, then the services that they need."""
        processes = list(reversed(self.processes.values()))
        for process in processes:
            # All at once: each takes a moment to finish what it is doing.
            process.ask_to_stop()
        for process in processes:
            process.stop()
        for service in (self.redis, self.postgres):
            if service is not None:
                service.stop()

    def check(self) -> None:
        """Raise :class:`EmbeddedError` with the end of its log when a process has ended by itself."""
        for name, process in self.processes.items():
            if not process.running:
                raise EmbeddedError(f"{name} ended with code {process.returncode}:\n{process.log_tail()}")

    def _spawn(self, name: str, command: list[str], **environment: str) -> Supervised:
        process = spawn(
            [sys.executable, "-m", "paywindow.cli", *command],
            env={**self.environment, **environment},
            log_path=self.folder / "logs" / f"{name}.log",
            pdeathsig=signal.SIGTERM,
        )
        self.processes[name] = process
        return process


@contextmanager
def running_stack(
    folder: Path, environment: Mapping[str, str] | None = None, *, say: Callable[[str], None] = lambda _: None
) -> Iterator[Stack]:
    """Start all that is needed and not given, wait until it takes requests, and stop it at the end.

    ``say`` is told about each step. Raises :class:`EmbeddedError` when something does not come up.
    """
    given = dict(os.environ if environment is None else environment)
    port = int(given.get("FRONT_PORT") or free_port())
    service_key = given.get("PAYWINDOW_DEV_KEY") or new_service_key()
    url = f"http://{LOOPBACK}:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    stack = Stack(folder.absolute(), {**_defaults(folder, url, port, service_key), **given}, service_key, url)
    try:
        _start_services(stack, say)
        _migrate(stack, say)
        say("starting workers, scheduler and front end")
        for name in (*(f"worker-{role}" for role in WORKERS), "scheduler", "front"):
            stack.start(name)
        _wait_until_ready(stack)
        yield stack
    finally:
        stack.stop()


def _defaults(folder: Path, url: str, port: int, service_key: str) -> dict[str, str]:
    return {
        "FRONT_PORT": str(port),
        "PUBLIC_URL": url,
        "SERVICE_KEYS": f"dev:checkout+read+refund+admin:{hash_service_key(service_key)}",
        "BUYER_TOKEN_SECRETS": secrets.token_urlsafe(32),
        "RECEIPT_FOLDER": str(folder.absolute() / "receipts"),
        "RECEIPT_URL_SECRET": secrets.token_urlsafe(32),
        "RECEIPT_ISSUER_NAME": "Harbour Auctions",
        "RECEIPT_ISSUER_ADDRESS": "12 Quay Street, Harbour Town",
        "RECEIPT_ISSUER_EMAIL": "accounts@auctions.example",
    }


def _start_services(stack: Stack, say: Callable[[str], None]) -> None:
    environment = stack.environment
    # The sandbox forgets everything when it ends; rows that speak of its pages would be about nothing.
    with_sandbox = not environment.get("STRIPE_SECRET_KEY")
    if not environment.get("DATABASE_URL"):
        say("starting PostgreSQL")
        stack.postgres = EmbeddedPostgres(stack.folder / "postgres")
        stack.postgres.start()
        if with_sandbox:
            stack.postgres.drop_database("paywindow")
        environment["DATABASE_URL"] = stack.postgres.create_database("paywindow")
    if not environment.get("REDIS_URL"):
        say("starting Redis")
        stack.redis = EmbeddedRedis(stack.folder / "redis")
        environment["REDIS_URL"] = stack.redis.start()
        if with_sandbox:
            stack.redis.forget()
    if with_sandbox:
        say("starting the Stripe sandbox")
        stack.sandbox_url = _start_sandbox(stack)
        environment["STRIPE_SECRET_KEY"] = "sk_test_sandbox"  # noqa: S105 - the sandbox takes any test key
        environment["STRIPE_API_BASE"] = stack.sandbox_url


def _start_sandbox(stack: Stack) -> str:
    secret = stack.environment.setdefault("STRIPE_WEBHOOK_SECRET", "whsec_" + secrets.token_urlsafe(24))
    port_file = stack.folder / "sandbox.port"
    port_file.unlink(missing_ok=True)
    webhook_url = f"{stack.front_url}/payments/webhooks/stripe"
    stack._spawn(
        "sandbox",
        ["sandbox", "--port-file", str(port_file), "--webhook-url", webhook_url, "--webhook-secret", secret],
    )
    _wait_for(stack, port_file.exists, "the sandbox")
    return f"http://{LOOPBACK}:{int(port_file.read_text())}"


def _migrate(stack: Stack, say: Callable[[str], None]) -> None:
    say("migrating the database")
    process = stack._spawn("migrate", ["migrate"])
    if process.wait(READY_SECONDS) != 0:
        raise EmbeddedError(f"the migration failed:\n{process.log_tail()}")
    del stack.processes["migrate"]


def _wait_until_ready(stack: Stack) -> None:
    _wait_for(stack, lambda: _answers(f"{stack.front_url}/readyz"), "the front end")
    for role in WORKERS:
        _wait_for(stack, partial(_is_ready, stack.processes[f"worker-{role}"]), f"the {role} worker")


def _is_ready(worker: Supervised) -> bool:
    # Anywhere: at DEBUG a worker writes a screenful while another is waited for.
    return "ready for action" in worker.log_path.read_text(encoding="utf-8", errors="replace")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _wait_for(stack: Stack, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        stack.check()
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{what} did not become ready in {READY_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
