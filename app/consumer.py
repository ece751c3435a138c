"""A Dramatiq consumer that Redis wakes when there is work, instead of looking again and again.

Dramatiq's own consumer sleeps between looks: short sleeps cost CPU on an idle system, long ones keep a buyer waiting. Here an
empty queue is waited for with ``BLMOVE queue queue LEFT LEFT``, which moves the first message id onto its own place as soon
as there is one: nothing changes but that the wait is over, and whoever enqueues needs to know nothing of it
(https://redis.io/docs/latest/commands/blmove/). A consumer whose threads are all busy waits for one to finish.

Whatever Redis answers instead (no connection, no answer in time, refused because it is full or a replica), the thread starts a
new consumer a second later. Dramatiq does so for lost connections only: a time-out would end the thread, or leave a message
that was worked on unacknowledged.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed

LONGEST_WAIT_SECONDS = 2
#: How often a consumer that fetches nothing more says that its process still works on messages.
BEAT_SECONDS = 0.5


class Consumer(_RedisConsumer):
    """What :meth:`paywindow.broker.Broker.consume` gives each consumer thread; ``ack`` comes from the worker threads.

    ``timeout``: at most how many milliseconds a wait lasts before the thread may look whether it is to end; never more than
    :data:`LONGEST_WAIT_SECONDS`, which stays below the connection's own time-out. Raises
    :class:`dramatiq.errors.ConnectionClosed` when Redis is away; the thread then starts a new consumer.
    """

    def __init__(self, broker: Any, queue_name: str, prefetch: int, timeout: int):
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._list = f"{broker.namespace}:{queue_name}"
        self._room = threading.Event()
        # When each delayed message is due, in milliseconds since the epoch: its thread has to be awake by then.
        self._due: dict[str, float] = {}

    def __next__(self) -> MessageProxy | None:
        """The next message, or None after a wait."""
        with _connection_closed():
            if self.broker.draining.is_set():
                self._only_beat()
                return None
            if not self.message_cache:
                self._room.clear()
                room = self.prefetch - self.outstanding_message_count
                if room > 0:
                    self.message_cache = self.broker.do_fetch(self.queue_name, room)
                if not self.message_cache:
                    self._wait(self._seconds(), room > 0)
                    return None
            return self._next_cached()

    def ack(self, message: Any) -> None:
        """Remove a message that was worked on."""
        try:
            with _connection_closed():
                super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self._forget(message)

    def nack(self, message: Any) -> None:
        """Make a message a dead letter."""
        try:
            with _connection_closed():
                super().nack(message)  # type: ignore[no-untyped-call]
        finally:
            self._forget(message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Put messages that nobody works on back into their queue."""
        with _connection_closed():
            super().requeue(messages)  # type: ignore[no-untyped-call]

    def _only_beat(self) -> None:
        """The process is about to end: give back what no thread has got, and stay alive for those that still work."""
        cached, self.message_cache = self.message_cache, []
        self.requeue(Message.decode(data) for data in cached if data is not None)
        self.broker.do_fetch(self.queue_name, 0)
        time.sleep(BEAT_SECONDS)

    def _next_cached(self) -> MessageProxy | None:
        data = self.message_cache.pop(0)
        if data is None:  # its id was in the queue twice, and the message has been worked on
            return None
        message = Message.decode(data)
        self.queued_message_ids.add(message.message_id)
        if isinstance(eta := message.options.get("eta"), int | float):
            self._due[message.message_id] = eta
        return MessageProxy(message)

    def _forget(self, message: Any) -> None:
        self._due.pop(message.message_id, None)
        self._room.set()

    def _seconds(self) -> float:
        seconds: float = min(self.timeout / 1000, LONGEST_WAIT_SECONDS)
        if self._due:
            seconds = min(seconds, min(self._due.values()) / 1000 - time.time())
        return seconds

    def _wait(self, seconds: float, for_message: bool) -> None:
        if seconds <= 0:
            return
        if for_message:
            # Redis refuses a time-out of nothing, and takes 0 for ever.
            self.broker.client.blmove(self._list, self._list, max(seconds, 0.001), "LEFT", "LEFT")
        else:
            self._room.wait(seconds)


@contextmanager
def _connection_closed() -> Iterator[None]:
    """Tell Dramatiq of every failure of Redis in the one way that it waits out and tries again."""
    try:
        yield
    except redis.RedisError as error:
        raise ConnectionClosed(error) from None
