"""The scheduler: enqueues each piece of periodic work once a tick, however many schedulers run.

Ticks are numbered by the clock of Redis, so schedulers agree on them whatever their own clocks say. Claiming a tick and
enqueueing its message is one script: a scheduler that dies between the two cannot lose a tick or send it twice. Nothing is
lost when no scheduler runs, either: the next tick finds in Postgres what became due meanwhile.
"""

import logging
import threading
import uuid
from collections.abc import Sequence

import redis
from prometheus_client import Gauge

from paywindow.message_logs import REQUEST_ID, ids_of
from paywindow.messages import build
from paywindow.schedules.table import TABLE, Periodic

logger = logging.getLogger(__name__)

HEARTBEAT = Gauge(
    "payments_scheduler_heartbeat_timestamp_seconds",
    "When this scheduler last went through its table, by the real clock; 0 before the first time.",
)
NAMESPACE = "dramatiq"
RESTING_SECONDS = 0.2
#: From this period on a tick is worth a line of its own; the others are told at DEBUG.
SELDOM_SECONDS = 60

# KEYS: the tick's counter, the queue, the queue's messages. ARGV: period in ms, redis message id, the message.
# A message still waiting in the queue would do the same work: then the tick passes, so that a stopped worker finds one
# sweep waiting and not a thousand.
_CLAIM_TICK = """
redis.replicate_commands()
local time = redis.call('TIME')
local tick = math.floor((time[1] * 1000 + time[2] / 1000) / tonumber(ARGV[1]))
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tick then return 0 end
redis.call('SET', KEYS[1], tick)
local waiting = redis.call('GET', KEYS[1] .. ':message')
if waiting and redis.call('HEXISTS', KEYS[3], waiting) == 1 then return 0 end
redis.call('SET', KEYS[1] .. ':message', ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1
"""


class Scheduler:
    """Runs the table until :meth:`stop`. Redis being away is logged and waited out."""

    def __init__(self, client: "redis.Redis", table: Sequence[Periodic] = TABLE):
        self._redis = client
        self._claim = client.register_script(_CLAIM_TICK)
        self._table = table
        self._stopping = threading.Event()

    def run(self) -> None:
        """Tick until stopped."""
        trouble = ""
        while not self._stopping.wait(RESTING_SECONDS):
            try:
                self.tick()
                HEARTBEAT.set_to_current_time()
                found = ""
            except redis.RedisError as error:
                found = f"{type(error).__name__}: {error}"
            if found != trouble:  # once, not at each of the five ticks a second of an outage
                logger.warning(f"no ticks: {found}" if found else "ticks again")
            trouble = found

    def stop(self) -> None:
        """Let :meth:`run` return; callable from a signal handler."""
        self._stopping.set()

    def tick(self) -> list[str]:
        """Enqueue what no scheduler has enqueued yet in the current tick; returns the actors' names."""
        return [periodic.actor for periodic in self._unclaimed() if self._enqueue(periodic)]

    def _unclaimed(self) -> list[Periodic]:
        """What nobody has claimed in its current tick, as far as one look can tell: most looks find nothing to claim."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.mget([_counter(periodic) for periodic in self._table])
            (seconds, micros), last = pipeline.execute()
        now_ms = seconds * 1000 + micros / 1000
        return [
            periodic
            for periodic, claimed in zip(self._table, last, strict=True)
            if claimed is None or int(claimed) < now_ms // _period_ms(periodic)
        ]

    def _enqueue(self, periodic: Periodic) -> bool:
        # What a tick causes is joined as what a request causes.
        redis_id, request_id = str(uuid.uuid4()), f"tick-{uuid.uuid4().hex}"
        message = build(periodic.actor).copy(options={"redis_message_id": redis_id, REQUEST_ID: request_id})
        queue = f"{NAMESPACE}:{message.queue_name}"
        claimed = bool(
            self._claim(
                keys=[_counter(periodic), queue, f"{queue}.msgs"],
                args=[_period_ms(periodic), redis_id, message.encode()],
            )
        )
        if claimed:
            level = logging.INFO if periodic.seconds >= SELDOM_SECONDS else logging.DEBUG
            logger.log(level, "tick of %s", periodic.actor, extra=ids_of(message))
        return claimed


def _counter(periodic: Periodic) -> str:
    return f"pw:tick:{periodic.actor}"


def _period_ms(periodic: Periodic) -> int:
    return int(periodic.seconds * 1000)
