"""One front process by itself, with a Redis of its own, beside the servers that it is measured against."""

import hashlib
import hmac
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from benchmarks.harness import Bench

from paywindow import webhook_signature
from paywindow.embedded.ports import LOOPBACK, free_port
from paywindow.embedded.processes import Supervised, spawn
from paywindow.embedded.redis import EmbeddedRedis

_TESTS = Path(__file__).parents[1]
_START_SECONDS = 60.0
WEBHOOKS = "/payments/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers on a port of the loopback."""

    process: Supervised
    port: int


@dataclass(frozen=True, slots=True)
class Fronts:
    """Starts servers; ``environment`` is that of our front end, with this Redis in it."""

    folder: Path
    environment: dict[str, str]
    redis: "redis.Redis"
    _started: ExitStack

    def ours(self, **settings: str) -> Server:
        """The product's front end, as an installation runs it, but for ``settings``."""
        port = free_port()
        return self._start(port, ["-m", "paywindow.cli", "front"], {"FRONT_PORT": str(port), **settings})

    def baseline(self, name: str) -> Server:
        """One of :mod:`benchmarks.baselines`."""
        port = free_port()
        return self._start(port, ["-m", "benchmarks.baselines", name, str(port)], {"PYTHONPATH": str(_TESTS)})

    def forget(self) -> None:
        """Empty the queues, so that no round carries what the one before has left."""
        self.redis.flushall()

    def _start(self, port: int, command: list[str], more: dict[str, str]) -> Server:
        process = spawn(
            [sys.executable, *command], env={**self.environment, **more}, log_path=self.folder / f"{port}.log"
        )
        self._started.callback(process.stop)
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if not process.running or time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(command)} did not start:\n{process.log_tail()}")
            time.sleep(0.02)
        return Server(process, port)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0


@contextmanager
def fronts(bench: Bench) -> Iterator[Fronts]:
    """Servers on an installation's settings, but none of its queues; all end with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="paywindow-bench-") as folder,
        EmbeddedRedis(Path(folder) / "redis") as server,
        redis.Redis.from_url(server.url) as client,
        ExitStack() as started,
    ):
        environment = {**bench.installation.stack.environment, "REDIS_URL": server.url}
        yield Fronts(Path(folder), environment, client, started)


def webhooks(fronts: Fronts, event: str, count: int, path: str) -> list[bytes]:
    """As many requests, each with an event of its own, signed now. ``event``: JSON in which ``EVENT_ID`` is replaced."""
    secret, now = fronts.environment["STRIPE_WEBHOOK_SECRET"], int(time.time())
    return [webhook(event, secret, now, path) for _ in range(count)]


def webhook(event: str, secret: str, now: int, path: str) -> bytes:
    """One of them."""
    body = event.replace("EVENT_ID", f"evt_{uuid.uuid4().hex}").encode()
    signature = f"{webhook_signature.HEADER}: {sign(body, secret, now)}"
    return _head("POST", path, [signature, f"Content-Length: {len(body)}"]) + body


def sign(body: bytes, secret: str, now: int) -> str:
    """The header of a webhook that is sent ``now`` (Unix seconds)."""
    return f"t={now},v1={hmac.new(secret.encode(), f'{now}.'.encode() + body, hashlib.sha256).hexdigest()}"


def get(path: str, headers: Sequence[str] = ()) -> bytes:
    """A request without a body."""
    return _head("GET", path, headers)


def _head(verb: str, path: str, headers: Sequence[str]) -> bytes:
    lines = [f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()
