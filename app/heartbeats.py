"""Signs of life: each process of an installation says every few seconds that it is there, and what it is.

A key of Redis' state database that dies with its process, ``pw:alive:<kind>:<host>:<pid>``. ``paywindow doctor`` reads them; no
work depends on them, so Redis being away costs nothing but the sign.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from paywindow import __version__

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 5.0
#: Three signs may be missed before a process counts as gone.
LIFE_MS = 20_000
_PREFIX = "pw:alive:"


@dataclass(frozen=True, slots=True)
class Sign:
    """A living process. ``connections``: how many of Postgres' it may take; ``ahead``: seconds its clock is ahead of Redis'."""

    kind: str
    name: str
    queues: tuple[str, ...]
    connections: int
    version: str
    ahead: float


class Heart:
    """Gives the sign from a thread, from :meth:`start` to :meth:`stop`.

    ``kind``: front, scheduler or worker; ``queues``: what a worker serves; ``connections``: the size of its pool.
    """

    def __init__(self, client: "redis.Redis", kind: str, queues: Sequence[str] = (), connections: int = 0):
        self._redis = client
        self._key = f"{_PREFIX}{kind}:{socket.gethostname()}:{os.getpid()}"
        self._facts = {
            "kind": kind,
            "queues": sorted(queues),
            "connections": connections,
            "version": __version__,
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="heart")

    def start(self) -> None:
        """Begin, with a first sign soon."""
        self._thread.start()

    def stop(self) -> None:
        """End, and take the last sign back: a process that stopped in order is not missed."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.delete(self._key)
                pipeline.client_setname("")
                pipeline.execute()
        except redis.RedisError:
            logger.info("the last sign of life is left to expire: Redis cannot be reached")

    def beat(self) -> None:
        """Give one sign, and put our name on a connection. Raises :class:`redis.RedisError`.

        The connection outlives the sign where the process is frozen: that is how :func:`silent` tells it from one that is gone.
        """
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(self._key, json.dumps({**self._facts, "clock": time.time()}), px=LIFE_MS)
            pipeline.client_setname(self._key)
            pipeline.execute()

    def _run(self) -> None:
        while True:
            try:
                self.beat()
            except redis.RedisError as error:
                logger.warning("no sign of life: %s", type(error).__name__)
            if self._stopping.wait(PERIOD_SECONDS):
                return


@contextmanager
def beating(client: "redis.Redis", kind: str) -> Iterator[None]:
    """A process gives its sign for the length of a context."""
    heart = Heart(client, kind)
    heart.start()
    try:
        yield
    finally:
        heart.stop()


def living(client: "redis.Redis") -> list[Sign]:
    """All processes that gave a sign lately, by name."""
    found: Any = client  # the annotations of redis-py cover asyncio and decoded answers, too
    return sorted(_signs(found), key=lambda sign: (sign.kind, sign.name))


def silent(client: "redis.Redis") -> list[str]:
    """Processes that are connected to Redis and have given no sign for longer than a sign lives, by name."""
    found: Any = client
    names = sorted({each["name"] for each in found.client_list() if each["name"].startswith(_PREFIX)})
    return [name.removeprefix(_PREFIX) for name in names if not found.exists(name)]


def _signs(client: Any) -> Iterator[Sign]:
    for key in client.scan_iter(match=f"{_PREFIX}*", count=1000):
        with client.pipeline(transaction=True) as pipeline:
            pipeline.get(key)
            pipeline.pttl(key)
            pipeline.time()
            text, left, (seconds, micros) = pipeline.execute()
        if text is None:
            continue
        facts = json.loads(text)
        given_at = seconds + micros / 1e6 - (LIFE_MS - left) / 1000
        yield Sign(
            kind=facts["kind"],
            name=key.decode().removeprefix(_PREFIX).partition(":")[2],
            queues=tuple(facts["queues"]),
            connections=facts["connections"],
            version=facts["version"],
            ahead=facts["clock"] - given_at,
        )
