"""Enqueue from asyncio: many callers, one Redis pipeline in flight.

Dramatiq's own ``broker.enqueue`` blocks and pays a round trip per message. Here what arrives while a pipeline is on
its way gathers and leaves together in the next one, as one MULTI/EXEC, so that the cost of a round trip (and of
Redis' flush to disk) is shared. Nothing waits for company: an idle :class:`Enqueuer` sends a single message at once.

The keys and bytes are those of :meth:`dramatiq.brokers.redis.RedisBroker.enqueue` in dramatiq 2.2 (its
``dispatch.lua``, command ``enqueue``); a contract test compares the two.
"""

import asyncio
from collections import deque
from contextvars import Context
from typing import Any, NamedTuple
from uuid import uuid4

import redis.asyncio
from dramatiq import Message

from paywindow.errors import PaywindowError
from paywindow.message_logs import request_option

NAMESPACE = "dramatiq"


class NotEnqueued(PaywindowError):
    """Redis did not confirm the message: it may or may not be queued.

    Asking again is safe, every actor runs twice safely.
    """


class QueueFull(NotEnqueued):
    """More messages wait to be sent than the bound allows, or this process is stopping: the message was not taken."""


class _Arrival(NamedTuple):
    queue: str
    id: str
    data: bytes
    sent: "asyncio.Future[None]"


class Enqueuer:
    """Sends messages to Dramatiq's queues in micro-batches. One per process, used from one event loop.

    ``client`` must not retry on its own: a retried EXEC whose first reply was lost would queue its messages twice.
    ``limit`` bounds what may wait, sent or not; ``batch`` bounds one pipeline.
    """

    def __init__(
        self, client: "redis.asyncio.Redis", *, limit: int = 5_000, batch: int = 500, namespace: str = NAMESPACE
    ):
        self._redis = client
        self._limit = limit
        self._batch = batch
        self._namespace = namespace
        self._arrivals: deque[_Arrival] = deque()
        self._unconfirmed = 0
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def accepting(self) -> bool:
        """Whether the next message would be taken."""
        return not self._closed and self._unconfirmed < self._limit

    async def enqueue(self, message: Message[Any]) -> None:
        """Queue a message; return after Redis confirmed it.

        Raises :class:`QueueFull` at once when the bound is reached, and :class:`NotEnqueued` when Redis failed.
        """
        if not self.accepting:
            raise QueueFull("too many messages wait to be sent" if not self._closed else "the process is stopping")
        arrival = _arrival(message)
        self._arrivals.append(arrival)
        self._unconfirmed += 1
        arrival.sent.add_done_callback(self._forget)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="enqueuer", context=Context())
        await arrival.sent

    async def close(self) -> None:
        """Take nothing more, and return once all that was taken has been sent or has failed."""
        self._closed = True
        if self._sender is not None:
            await self._sender

    def _forget(self, _: "asyncio.Future[None]") -> None:
        self._unconfirmed -= 1

    async def _send_all(self) -> None:
        try:
            while self._arrivals:
                count = min(self._batch, len(self._arrivals))
                await self._send([self._arrivals.popleft() for _ in range(count)])
        finally:
            self._sender = None

    async def _send(self, batch: list[_Arrival]) -> None:
        confirmed, cause = False, None
        try:
            await self._execute(batch)
            confirmed = True
        except Exception as error:  # whatever it is, it belongs to those who wait
            cause = error
        finally:
            # Also when this task is cancelled: nobody may be left waiting.
            for arrival in batch:
                _settle(arrival.sent, confirmed, cause)

    async def _execute(self, batch: list[_Arrival]) -> None:
        async with self._redis.pipeline(transaction=True) as pipeline:
            for arrival in batch:
                queue = f"{self._namespace}:{arrival.queue}"
                pipeline.hset(f"{queue}.msgs", arrival.id, arrival.data)
                pipeline.rpush(queue, arrival.id)
            await pipeline.execute()


def _arrival(message: Message[Any]) -> _Arrival:
    # A message can be queued more than once under its own id (retries are), so each time in Redis has one more id.
    redis_id = str(uuid4())
    data = message.copy(options={**request_option(), "redis_message_id": redis_id}).encode()
    return _Arrival(message.queue_name, redis_id, data, asyncio.get_running_loop().create_future())


def _settle(sent: "asyncio.Future[None]", confirmed: bool, cause: Exception | None) -> None:
    if sent.done():  # its caller went away
        return
    if confirmed:
        sent.set_result(None)
        return
    # One exception each: an exception raised in several places would collect all their tracebacks.
    failure = NotEnqueued("Redis did not confirm the message")
    failure.__cause__ = cause
    sent.set_exception(failure)
