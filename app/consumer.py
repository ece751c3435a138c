"""A Dramatiq consumer that Redis wakes when there is work, instead of looking again and again.

Dramatiq's own consumer sleeps between looks: short sleeps cost CPU on an idle system, long ones keep a buyer waiting. Here an
empty queue is waited for with ``BLMOVE queue queue LEFT LEFT``, which moves the first message id onto its own place as soon
as there is one: nothing changes but that the wait is over, and whoever enqueues needs to know nothing of it
(https://redis.io/docs/latest/commands/blmove/). A consumer whose threads are all busy waits for one to finish.
"""

import threading
import time
from typing import Any

import redis
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed

LONGEST_WAIT_SECONDS = 2


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
        try:
            if not self.message_cache:
                self._room.clear()
                room = self.prefetch - self.outstanding_message_count
                if room > 0:
                    self.message_cache = self.broker.do_fetch(self.queue_name, room)
                if not self.message_cache:
                    self._wait(self._seconds(), room > 0)
                    return None
            return self._next_cached()
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None

    def ack(self, message: Any) -> None:
        """Remove a message that was worked on."""
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        finally:
            self._forget(message)

    def nack(self, message: Any) -> None:
        """Make a message a dead letter."""
        try:
            super().nack(message)  # type: ignore[no-untyped-call]
        finally:
            self._forget(message)

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
