"""Waiting for entries that workers publish to Redis, over one permanent subscription per process.

The order that loses nothing: register the names, read, ask for the work, wait, read again. A wake-up only says *look
again*: the entry in Redis is the truth. Whatever a broken connection swallowed is made up for by waking everybody
after each (re)subscription and every few seconds.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from paywindow import published

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Name of an entry -> who is to be woken when it is published.
_Register = defaultdict[str, set[asyncio.Event]]

_RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0)


class Waiter:
    """Wakes whoever waits for an entry.

    ``client`` reads the state database; ``sweep_seconds``: how often all look again; ``limit``: how many may wait. Beyond it
    the work is asked for, and nobody waits for it: commands are answered 202 at once.
    """

    def __init__(self, client: "redis.asyncio.Redis", *, sweep_seconds: float = 3.0, limit: int = 5_000):
        self._redis = client
        self._sweep_seconds = sweep_seconds
        self._limit = limit
        self._count = 0
        self._waiting: _Register = defaultdict(set)
        self._watching: _Register = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._closed = False
        self.connected = False

    def start(self) -> None:
        """Begin to listen; returns at once, whether Redis can be reached or not."""
        self._tasks = [
            asyncio.create_task(self._listen(), name="waiter-listen"),
            asyncio.create_task(self._sweep(), name="waiter-sweep"),
        ]

    def release(self) -> None:
        """Let everybody look one last time and then stop waiting: the process is about to end."""
        self._stopping = True
        self._wake_all()

    async def close(self) -> None:
        """Stop listening."""
        # Cancelling alone does not do where redis-py writes: there, Python 3.11 loses a cancellation that comes as the writing
        # ends (https://github.com/python/cpython/issues/86296).
        self._closed = True
        self.release()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def wait(
        self,
        names: Iterable[str],
        read: Callable[[], Awaitable[T | None]],
        *,
        seconds: float,
        ask: Callable[[], Awaitable[None]],
    ) -> T | None:
        """What ``read`` finds in the entries ``names``, after asking for it if need be; ``None`` after ``seconds``.

        ``ask`` is awaited once, and only when the first reading found nothing. Errors of both go to the caller.
        """
        with _registered(self._waiting, names, asyncio.Event()) as woken:
            if (found := await read()) is not None:
                return found
            await ask()
            if self._count >= self._limit:
                return await read()
            self._count += 1
            try:
                deadline = asyncio.get_running_loop().time() + seconds
                while not self._stopping and await set_before(deadline, woken):
                    woken.clear()
                    if (found := await read()) is not None:
                        return found
            finally:
                self._count -= 1
            return await read()

    def watching(self, name: str, woken: asyncio.Event) -> AbstractContextManager[asyncio.Event]:
        """Have ``woken`` set whenever the entry is published, and when the feed comes back or ends.

        For those who watch for long: unlike a wait they are not woken every few seconds, and look again by themselves, rarely.
        """
        return _registered(self._watching, (name,), woken)

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end."""
        return self._stopping

    def _wake(self, name: str) -> None:
        for register in (self._waiting, self._watching):
            for woken in register.get(name, ()):
                woken.set()

    def _wake_all(self) -> None:
        for name in (*self._waiting, *self._watching):
            self._wake(name)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            for woken in chain.from_iterable(self._waiting.values()):
                woken.set()

    async def _listen(self) -> None:
        failures = 0
        while not self._closed:
            try:
                async with self._redis.pubsub() as feed:
                    await feed.subscribe(published.WAKE)
                    failures = 0
                    await self._follow(feed)
            except (RedisError, OSError) as error:
                log.warning("the feed of published entries is interrupted: %s", type(error).__name__)
            except Exception:  # the feed must outlive whatever it did not expect
                log.exception("the feed of published entries failed")
            self.connected = False
            await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _follow(self, feed: "redis.asyncio.client.PubSub") -> None:
        """Read until the connection breaks. A silent one is asked for a sign of life: a dead peer sends no error."""
        asked = False
        while not self._closed:
            message = await feed.get_message(timeout=self._sweep_seconds)
            if message is not None:
                asked = False
                self._received(message)
            elif asked:
                raise RedisConnectionError("no answer to a ping")
            else:
                asked = True
                await feed.ping()

    def _received(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            # Also after redis-py reconnected by itself: what was published in between went unheard.
            self.connected = True
            self._wake_all()
        elif message["type"] == "message":
            self._wake(message["data"])


@contextmanager
def _registered(register: _Register, names: Iterable[str], woken: asyncio.Event) -> Iterator[asyncio.Event]:
    names = tuple(names)
    for name in names:
        register[name].add(woken)
    try:
        yield woken
    finally:
        for name in names:
            register[name].discard(woken)
            if not register[name]:
                del register[name]


async def set_before(deadline: float, woken: asyncio.Event) -> bool:
    """Whether the event is set before the loop's clock says so. Only this is cut short: a cancelled reading would cost its
    connection."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            return await woken.wait()
    return False
