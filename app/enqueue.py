"""Enqueue from asyncio: many callers, one Redis pipeline in flight.

Dramatiq's own ``broker.enqueue`` blocks and pays a round trip per message. Here messages leave in batches
(:mod:`paywindow.batches`), each one MULTI/EXEC, so that the cost of a round trip, and of Redis' flush to disk, is shared.

The keys and messages are those of :meth:`dramatiq.brokers.redis.RedisBroker.enqueue` in dramatiq 2.2 (its
``dispatch.lua``, command ``enqueue``), two commands for all of a batch that go to one queue; a contract test compares the two.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import redis.asyncio
from dramatiq import Message

from paywindow import ids
from paywindow.batches import Batches
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
        self._namespace = namespace
        self._batches = Batches(self._execute, _not_enqueued, size=batch, name="enqueuer")
        self._unconfirmed = 0
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
        self._unconfirmed += 1
        try:
            await self._batches.ask(_arrival(message))
        finally:
            self._unconfirmed -= 1

    async def close(self) -> None:
        """Take nothing more, and return once all that was taken has been sent or has failed."""
        self._closed = True
        await self._batches.finish()

    async def _execute(self, batch: Sequence[_Arrival]) -> Sequence[None]:
        queues: dict[str, list[_Arrival]] = {}
        for arrival in batch:
            queues.setdefault(f"{self._namespace}:{arrival.queue}", []).append(arrival)
        async with self._redis.pipeline(transaction=True) as pipeline:
            for queue, arrivals in queues.items():
                pipeline.hset(f"{queue}.msgs", mapping={arrival.id: arrival.data for arrival in arrivals})
                pipeline.rpush(queue, *(arrival.id for arrival in arrivals))
            await pipeline.execute()
        return [None] * len(batch)


def _not_enqueued(_: Exception) -> NotEnqueued:
    return NotEnqueued("Redis did not confirm the message")


def _arrival(message: Message[Any]) -> _Arrival:
    # A message can be queued more than once under its own id (retries are), so each time in Redis has one more id.
    redis_id = ids.unique()
    options = {**message.options, **request_option(), "redis_message_id": redis_id}
    # What Message.encode does, in a quarter of the time: a webhook is kilobytes.
    data = orjson.dumps({**vars(message), "options": options})
    return _Arrival(message.queue_name, redis_id, data)
