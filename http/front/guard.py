"""Failing at once while Redis gives no answer.

A Redis that is away refuses connections, and what asks for one fails by itself. One that hangs takes connections and says
nothing: each request would wait for its time-out, and the requests of that time would pile up. So each database is asked for a
sign of life all the time, on a connection of its own; as long as there is none, nobody else gets a connection, and the caller
has a 503 at once. With the next answer everything goes on.
"""

import asyncio
import logging
from typing import Any

import redis.asyncio
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from paywindow.front.lost_connections import say_when_lost
from paywindow.front.waiting import set_before

log = logging.getLogger(__name__)

#: How long Redis may take to answer a PING, and the rests between two.
ANSWER_SECONDS = 1.0
REST_SECONDS = 0.5
REST_WHILE_SILENT_SECONDS = 0.1


class Guard:
    """Knows whether a database of Redis answers, if only by a refusal. ``name`` is for the log."""

    def __init__(self, url: str, name: str) -> None:
        self._name = name
        self._redis = redis.asyncio.Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
        )
        say_when_lost(self._redis.connection_pool)
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self.answering = True

    def start(self) -> None:
        """Begin to ask; returns at once."""
        self._task = asyncio.create_task(self._watch(), name=f"guard-{self._name}")

    async def close(self) -> None:
        """Stop asking, after the answer that is awaited now."""
        # Not cancelled: redis-py writes under `asyncio.wait_for`, where Python 3.11 loses a cancellation that comes as the
        # writing ends (https://github.com/python/cpython/issues/86296), and the task would go on for ever.
        self._closed.set()
        if self._task is not None:
            await self._task
        await self._redis.aclose()

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._closed.is_set():
            self._learn(await self._answers())
            rest = REST_SECONDS if self.answering else REST_WHILE_SILENT_SECONDS
            await set_before(clock() + rest, self._closed)

    async def _answers(self) -> bool:
        clock = asyncio.get_running_loop().time
        while True:
            begun = clock()
            try:
                return bool(await self._redis.ping())
            except RedisTimeoutError:
                # Much later than the time-out it was this process that stood still, and Redis may have answered.
                if clock() - begun < 2 * ANSWER_SECONDS:
                    return False
            except (RedisError, OSError):
                return True  # whoever asks is told so at once by Redis, or by its machine

    def _learn(self, answering: bool) -> None:
        if answering != self.answering:
            log.warning("Redis (%s) %s", self._name, "is heard again" if answering else "gives no answer")
        self.answering = answering


class GuardedPool(BlockingConnectionPool):
    """A pool that gives nobody a connection while its guard says that Redis is silent.

    Raises redis-py's ``ConnectionError`` then, and, as any blocking pool, when no connection became free in time.
    """

    def __init__(self, *args: Any, guard: Guard, **options: Any) -> None:
        self._guard = guard
        super().__init__(*args, **options)

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> AbstractConnection:
        """See :meth:`redis.asyncio.connection.BlockingConnectionPool.get_connection`; arguments are ignored there."""
        del command_name, keys, options
        self._refuse_while_silent()
        connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
        try:
            self._refuse_while_silent()  # it may have become so while this request waited for its turn
        except RedisConnectionError:
            await self.release(connection)
            raise
        return connection

    def _refuse_while_silent(self) -> None:
        if not self._guard.answering:
            raise RedisConnectionError("Redis gave no answer a moment ago")
