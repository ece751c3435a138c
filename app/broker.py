"""The Dramatiq broker as paywindow runs it, and the middleware that decides about retries.

Differences from ``RedisBroker``'s defaults, each for a reason (all were reproduced; see docs/architecture.md):

* few, short retries: Stripe forgets idempotency keys after a day, so everything longer is a due column in Postgres (only
  an outage of Postgres itself is waited out by the message);
* a retry that cannot be enqueued keeps its message as a dead letter instead of acknowledging it;
* a consumer that starts again takes back what its process had fetched and not acknowledged, or a restart of Redis would
  strand it until the process ends;
* heartbeats of 10 s and a look for missed ones every second, so that the messages of a killed worker come back in seconds,
  not minutes;
* consumers that Redis wakes (:mod:`paywindow.consumer`), so that an idle worker costs nothing and starts at once;
* workers go on when Redis is full, or nothing would ever empty it.
"""

import logging
import threading
import time
import traceback
from typing import Any

import dramatiq
import peewee
import redis
from dramatiq.brokers.redis import RedisBroker, _scripts
from dramatiq.middleware import CurrentMessage, Middleware, Retries

from paywindow.consumer import Consumer
from paywindow.errors import Permanent, StripeUnavailable
from paywindow.handover import HandOver
from paywindow.message_logs import LogMessages

logger = logging.getLogger(__name__)

MAX_RETRIES = 3
MIN_BACKOFF_MS = 1_000
MAX_BACKOFF_MS = 60_000
# Ten missed beats: every consumer asks Redis for work at least once a second.
HEARTBEAT_TIMEOUT_MS = 10_000
MAINTENANCE_SECONDS = 1
# Dead letters are for an operator to decide about, not for time (the default would be a week).
DEAD_MESSAGE_TTL_MS = 100 * 365 * 86_400_000
SOCKET_TIMEOUT_SECONDS = 5
# Every command of Dramatiq's script begins with a ZADD, which a Redis at its ``maxmemory`` refuses: nobody could fetch or
# acknowledge, so it would stay full. A script whose first write needs no memory may go on, as any script that has begun to
# write (https://redis.io/docs/latest/develop/programmability/eval-intro/). Workers take more out than they put in; front ends and
# schedulers do not use this script, and are refused.
_EVEN_WHEN_FULL = b"redis.call('DEL', KEYS[1] .. ':__room__')\n"


class Broker(RedisBroker):
    """A RedisBroker whose consumers pick up what was left unacknowledged, by their own process or by one that is gone."""

    consumer_class = property(lambda self: Consumer)

    def __init__(self, **options: Any):
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._maintenance = threading.local()
        self.scripts["dispatch"] = self.client.register_script(_EVEN_WHEN_FULL + _scripts["dispatch"])
        #: Set while the worker of this process ends: nothing more is fetched (see :mod:`paywindow.handover`).
        self.draining = threading.Event()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        """Create a consumer, after putting this process's own unacknowledged messages back in their queue.

        Dramatiq calls this at boot (nothing to put back) and again after every lost connection. A message that a thread is
        still working on is delivered again in that case; actors are idempotent.
        """
        acks = f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}"
        stranded = self.client.smembers(acks)
        if stranded:
            logger.warning("taking %d unacknowledged messages back", len(stranded), extra={"queue": queue_name})
            self.do_requeue(queue_name, *stranded)
        return super().consume(queue_name, prefetch, timeout)

    def _should_do_maintenance(self, command: str) -> int:
        """Whether this command also returns the messages of dead workers to their queue.

        Dramatiq throws dice for every command: an idle queue waits long, a busy one pays often. Here every thread that fetches
        does so once a second; that is one thread a queue.
        """
        if command != "fetch" or time.monotonic() < getattr(self._maintenance, "due", 0.0):
            return 0
        self._maintenance.due = time.monotonic() + MAINTENANCE_SECONDS
        return 1


def worth_retrying(retries: int, error: BaseException) -> bool:
    """Whether a message that failed for the ``retries + 1``-th time should run again.

    A few times, as a rule. While Postgres is away there is no row yet that a sweep could find, so the message itself has to
    last: it is tried for as long as the outage takes. The same is true of the Redis that holds what is published, where it is
    another than the broker's.
    """
    return retries < MAX_RETRIES or is_outage(error) or isinstance(error, redis.ConnectionError | redis.TimeoutError)


def is_outage(error: BaseException) -> bool:
    """Whether the error says that Postgres cannot be reached or is shutting down, rather than that a statement failed."""
    if not isinstance(error, peewee.OperationalError | peewee.InterfaceError):
        return False
    code = getattr(error.__cause__ or error.__context__, "pgcode", None)
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, resources, operator intervention.
    return code is None or code.startswith(("08", "53", "57P"))


class KeepWhatCannotBeRetried(Retries):
    """Retries, with the family of the error deciding, and with no way to lose a message.

    ``Permanent`` errors are not retried. What Stripe does not answer is, a few times, and is then left to Postgres. When the
    retry itself cannot be enqueued, Dramatiq would log the error and acknowledge the message; here the message is failed, so it
    stays visible among the dead letters.
    """

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """See :class:`dramatiq.middleware.Retries`."""
        if exception is None:
            return
        if isinstance(exception, Permanent):
            message.fail()
        elif isinstance(exception, StripeUnavailable) and message.options.get("retries", 0) >= MAX_RETRIES:
            # Each of them has a row that says when to try again: an outage of Stripe is no heap of dead letters.
            self.logger.warning("%s is left to its row: %s", message.actor_name, exception)
        else:
            try:
                super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]
            except Exception:
                message.fail()
                self.logger.exception("a retry could not be enqueued")
        if message.failed:
            self._record(broker, message, exception)

    def _record(self, broker: Any, message: Any, exception: BaseException) -> None:
        """Keep the error with the dead letter: Dramatiq would keep the message as it was last enqueued, without it."""
        message.options["traceback"] = "".join(traceback.format_exception(exception, limit=30))
        key, field = f"{broker.namespace}:{message.queue_name}.msgs", message.options.get("redis_message_id")
        if field is not None and broker.client.hexists(key, field):
            broker.client.hset(key, field, message.encode())


def make_broker(redis_url: str, *extra: Middleware) -> Broker:
    """The broker over ``redis_url`` with paywindow's middleware; also installed as Dramatiq's global broker.

    Order: logs come first, so that whatever the others say has the message's ids; then retries, so that they see what the
    others raise. ``TimeLimit`` and shutdown notifications are left out
    on purpose: both raise inside a running thread at any line, which can cost a message or a transaction. Every blocking
    call has a limit of its own instead (Stripe, statements, the renderer).
    """
    broker = Broker(
        client=redis.Redis.from_url(
            redis_url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            health_check_interval=30,
        ),
        middleware=[
            LogMessages(),
            KeepWhatCannotBeRetried(min_backoff=MIN_BACKOFF_MS, max_backoff=MAX_BACKOFF_MS, retry_when=worth_retrying),
            CurrentMessage(),
            HandOver(),
            *extra,
        ],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        dead_message_ttl=DEAD_MESSAGE_TTL_MS,
    )
    dramatiq.set_broker(broker)
    return broker
