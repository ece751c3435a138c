"""What waits in Redis, counted when Prometheus asks; the scheduler serves it, because it needs Redis and nothing else.

All schedulers of an installation tell the same, so queries take the ``max``.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.backoff import NoBackoff
from redis.retry import Retry

from paywindow.dead_letters import DeadLetters
from paywindow.enqueue import NAMESPACE
from paywindow.messages import QUEUED_AT, Queue

logger = logging.getLogger(__name__)


def impatient(url: str) -> "redis.Redis":
    """A client for a scrape, which must be over in ten seconds whatever Redis does: short limits, and no second try."""
    return redis.Redis.from_url(
        url, socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0), health_check_interval=30
    )


class QueueCollector(Collector):
    """Depth and oldest message of each queue, and the dead letters. While Redis is away, only that."""

    def __init__(self, client: "redis.Redis"):
        self._redis: Any = client  # the annotations of redis-py cover asyncio and decoded answers, too
        self._letters = DeadLetters(client)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The gauges without values, so that registering does not need Redis."""
        return _families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges, with the values of this moment."""
        up, messages, oldest, dead = _families()
        try:
            for queue in Queue:
                self._add(queue, messages, oldest)
            for name, count in self._letters.count().items():
                dead.add_metric([name], count)
        except redis.RedisError as error:
            logger.warning("queues not counted: %s", type(error).__name__)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from (up, messages, oldest, dead)

    def _add(self, queue: Queue, messages: GaugeMetricFamily, oldest: GaugeMetricFamily) -> None:
        key = f"{NAMESPACE}:{queue}"
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.llen(key)
            pipeline.hlen(f"{key}.msgs")
            pipeline.hlen(f"{key}.DQ.msgs")
            pipeline.lindex(key, 0)
            waiting, unfinished, delayed, first = pipeline.execute()
        messages.add_metric([queue.value, "waiting"], waiting)
        messages.add_metric([queue.value, "taken"], max(unfinished - waiting, 0))
        messages.add_metric([queue.value, "delayed"], delayed)
        oldest.add_metric([queue.value], self._age(key, first))

    def _age(self, key: str, message_id: bytes | None) -> float:
        data = None if message_id is None else self._redis.hget(f"{key}.msgs", message_id)
        if data is None:
            return 0.0
        message = json.loads(data)
        queued_at: int = message["options"].get(QUEUED_AT, message["message_timestamp"])
        return max(time.time() - queued_at / 1000, 0.0)


def _families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily("payments_redis_up", "Whether the scheduler reaches the broker's Redis: 1 or 0."),
        GaugeMetricFamily(
            "payments_queue_messages",
            "Messages by queue: waiting, taken by a worker and not finished, or delayed until their time.",
            labels=["queue", "state"],
        ),
        GaugeMetricFamily(
            "payments_queue_oldest_message_age_seconds",
            "How long the first message of a queue has waited; 0 when none waits.",
            labels=["queue"],
        ),
        GaugeMetricFamily("payments_dead_letters", "Messages whose actor failed for good.", labels=["queue"]),
    )
