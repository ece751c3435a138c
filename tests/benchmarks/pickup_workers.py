"""Workers that do nothing but say how long a message took to reach them, for ours, for Dramatiq's defaults and for Celery.

``MODE`` chooses; ``REDIS_URL`` is where the queue is, and its database 5 where the times go. Imported by each of their own
command lines; the monotonic clock is the machine's, so all processes share it.
"""

import os
import time
from functools import cache
from typing import Any

import redis

QUEUE = "interactive"
TIMES = "pickups"


def note(sent_ns: int) -> None:
    """The actor, and the task."""
    taken = time.monotonic_ns() - sent_ns
    _times().rpush(TIMES, taken)


@cache
def _times() -> "redis.Redis":
    return redis.Redis.from_url(os.environ["REDIS_URL"].removesuffix("/0") + "/5")


def ours() -> Any:
    """The broker of a real worker process, with everything that surrounds an actor there."""
    from paywindow.actors.worker import broker

    return broker


def defaults() -> Any:
    """Dramatiq as its documentation begins."""
    from dramatiq.brokers.redis import RedisBroker

    return RedisBroker(url=os.environ["REDIS_URL"])  # type: ignore[no-untyped-call]


def celery() -> Any:
    """Celery as its documentation begins."""
    from celery import Celery

    app = Celery(broker=os.environ["REDIS_URL"])
    app.conf.worker_prefetch_multiplier = 1
    app.task(name="note", ignore_result=True)(note)
    return app


def _dramatiq(broker: Any) -> Any:
    import dramatiq

    dramatiq.actor(note, actor_name="note", queue_name=QUEUE, broker=broker)
    return broker


MODE = os.environ.get("MODE")
if MODE is not None:
    app = celery() if MODE == "celery" else _dramatiq(ours() if MODE == "ours" else defaults())
