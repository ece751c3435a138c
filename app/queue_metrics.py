"""What each worker process counts about the messages that it works on: waiting, duration, failures."""

import threading
import time
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from prometheus_client import Counter, Histogram

from paywindow.messages import ACTORS, QUEUED_AT, Queue

PICKUP_SECONDS = Histogram(
    "payments_message_pickup_seconds",
    "How long a message waited in its queue until a thread began with it, the delay that it was sent with not counted.",
    ["queue"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
MESSAGE_SECONDS = Histogram(
    "payments_message_duration_seconds",
    "How long one run of an actor took, failed or not.",
    ["actor"],
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
MESSAGE_FAILURES = Counter(
    "payments_message_failures", "Runs of actors that ended with an error; most are tried again.", ["actor"]
)
MESSAGES_DEAD = Counter(
    "payments_message_dead_letters", "Messages that became dead letters, by the queue they were in.", ["queue"]
)

for _queue in Queue:
    PICKUP_SECONDS.labels(_queue.value)
    MESSAGES_DEAD.labels(_queue.value)
for _actor in ACTORS:
    MESSAGE_FAILURES.labels(_actor)


def queued_at_ms(options: dict[str, Any], message_timestamp: int) -> int:
    """When a message was put into the queue where it lies now, in Unix milliseconds."""
    found = options.get(QUEUED_AT)
    return found if isinstance(found, int) else message_timestamp


class CountMessages(Middleware):
    """Dramatiq middleware that fills these metrics. It raises nothing and changes nothing but :data:`QUEUED_AT`."""

    def __init__(self) -> None:
        self._begun = threading.local()

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        """A message that moves into its queue after its delay, or is tried again, has waited since now."""
        del broker
        if delay is None:
            message.options[QUEUED_AT] = int(time.time() * 1000)

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """A thread begins."""
        del broker
        waited = time.time() - queued_at_ms(message.options, message.message_timestamp) / 1000
        PICKUP_SECONDS.labels(message.queue_name).observe(max(waited, 0))
        self._begun.at = time.perf_counter()

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """A thread is done."""
        del broker, result
        actor = message.actor_name if message.actor_name in ACTORS else "unknown"
        MESSAGE_SECONDS.labels(actor).observe(time.perf_counter() - self._begun.at)
        if exception is not None:
            MESSAGE_FAILURES.labels(actor).inc()

    def after_nack(self, broker: dramatiq.Broker, message: Any) -> None:
        """The message was given up."""
        del broker
        MESSAGES_DEAD.labels(message.queue_name).inc()
