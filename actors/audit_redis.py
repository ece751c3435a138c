"""What Redis holds, for :mod:`paywindow.actors.auditor`: published sessions, queues, and who is connected.

Postgres is the truth and Redis only shows it, so what is missing is no violation: it is made anew when somebody asks, or by
``sweeps.window_mirror``. What is there and says something else is one. Whatever looks wrong is read again before it is told,
since both sides move on.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from paywindow import clock, heartbeats, jsons
from paywindow.actors.runtime import runtime
from paywindow.broker import HEARTBEAT_TIMEOUT_MS, SOCKET_TIMEOUT_SECONDS
from paywindow.dead_letters import NAMESPACE, DeadLetters
from paywindow.invariants import Tally
from paywindow.messages import QUEUED_AT, Queue
from paywindow.models.database import transaction
from paywindow.models.invariants.rules import BATCH, PATIENCE, Moment
from paywindow.models.snapshots import has_deadline
from paywindow.models.tables import Outbox, PaymentSession
from paywindow.published import DRIFT_TOLERANCE, session_key, window_key
from paywindow.settings import secret

#: Ticks of the scheduler come all the time and are no work that somebody waits for.
_TICKS = "sweeps."
_DEAD_WORKER = timedelta(milliseconds=6 * HEARTBEAT_TIMEOUT_MS)


def _published(moment: Moment, tallies: dict[str, Tally]) -> Iterator[int]:
    """Compare snapshots and remaining times with the rows, a batch at a time."""
    client: Any = _connect(runtime().settings.state_url)
    after = uuid.UUID(int=0)
    while True:
        with transaction():
            page = PaymentSession.select().where(PaymentSession.id > after).order_by(PaymentSession.id).limit(BATCH)
            rows = list(page)
        if not rows:
            return
        suspects = [row.id for row, wrong in zip(rows, _look(client, rows), strict=True) if wrong]
        tallies["redis_agrees"].add(len(rows), _again(client, suspects))
        yield len(rows)
        after = rows[-1].id


def _again(client: Any, suspects: list[uuid.UUID]) -> Iterator[tuple[str, str]]:
    """Judge what looked wrong once more: Redis first, then the row, so that a change in between shows as being on its way."""
    for identifier in suspects:
        with transaction():
            row = PaymentSession.get_by_id(identifier)
            on_its_way = Outbox.select().where(
                Outbox.actor == "publish.session", Outbox.arguments.contains(str(identifier))
            )
            coming = on_its_way.exists()
        [wrong] = _look(client, [row])
        with transaction():
            same = PaymentSession.get_by_id(identifier).version == row.version
        if wrong and same and not coming:
            yield str(identifier), wrong


def _look(client: Any, rows: list[PaymentSession]) -> list[str]:
    """What is wrong with what Redis shows of each of these sessions; an empty text where nothing is."""
    with client.pipeline(transaction=False) as pipeline:
        for row in rows:
            pipeline.hmget(session_key(row.id), "v", "service", "missing")
            pipeline.pttl(window_key(row.id))
        answers = pipeline.execute()
    now = clock.now()
    return [
        "; ".join(filter(None, (_snapshot(row, *shown), _window(row, left, now))))
        for row, shown, left in zip(rows, answers[::2], answers[1::2], strict=True)
    ]


def _snapshot(row: PaymentSession, version: bytes | None, service: bytes | None, missing: bytes | None) -> str | None:
    if version is None or missing is not None:
        return None
    if int(version) != row.version:
        return f"the snapshot is of version {int(version)}, the session at {row.version}"
    status = jsons.loads(service or "{}").get("paymentSession", {}).get("status")
    return None if status == row.status else f"the snapshot says {status}, the session is {row.status}"


def _window(row: PaymentSession, left: int, now: datetime) -> str | None:
    if left == -2:  # no such key
        return None
    if left == -1:
        return "the remaining time in Redis never ends"
    if not has_deadline(row):
        return f"Redis counts {left / 1000:.0f} s down, and no window is open"
    drift = abs(row.expires_at - now - timedelta(milliseconds=left))
    return f"the remaining time in Redis is off by {drift / timedelta(seconds=1):.1f} s" if drift > _TOLERANCE else None


#: A little more than what ``sweeps.window_mirror`` lets pass.
_TOLERANCE = DRIFT_TOLERANCE * 2


def _queues(moment: Moment, tallies: dict[str, Tally]) -> Iterator[int]:
    """Look at every message of every queue: waiting, delayed, in somebody's hands, or dead."""
    client: Any = _connect(secret(runtime().settings.redis_url))
    tally = tallies["queues_worked"]
    for letter in DeadLetters(client).all():
        tally.add(
            1, [(letter.id, f"{letter.actor} is dead since {letter.died_at:%Y-%m-%d %H:%M:%S} UTC: {letter.error}")]
        )
    for queue in Queue:
        for name in (queue.value, f"{queue}.DQ"):
            for key, data in client.hscan_iter(f"{NAMESPACE}:{name}.msgs", count=1000):
                tally.add(1, _late(key.decode(), json.loads(data), moment))
            yield 1
    tally.add(0, _orphans(client, moment))


def _late(key: str, message: dict[str, Any], moment: Moment) -> Iterator[tuple[str, str]]:
    """A message is late when it could have been worked on for :data:`PATIENCE`; at rest there should be none."""
    if message["actor_name"].startswith(_TICKS):
        return
    options = message["options"]
    since = max(options.get("eta", 0), options.get(QUEUED_AT, message["message_timestamp"])) / 1000
    if moment.at_rest or since < time.time() - PATIENCE / timedelta(seconds=1):
        waits = f"since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        yield key, f"{message['actor_name']} in {message['queue_name']} waits {waits}"


def _orphans(client: Any, moment: Moment) -> Iterator[tuple[str, str]]:
    """Messages in the hands of a worker that fell silent long ago, or of one that is not known any more."""
    beats = dict(client.zrange(f"{NAMESPACE}:__heartbeats__", 0, -1, withscores=True))
    dead = (time.time() - _DEAD_WORKER / timedelta(seconds=1)) * 1000
    for key in client.scan_iter(match=f"{NAMESPACE}:__acks__.*", count=1000):
        worker, _, queue = key.decode().removeprefix(f"{NAMESPACE}:__acks__.").partition(".")
        held = client.scard(key)
        if held and beats.get(worker.encode(), 0) < dead:
            yield worker, f"has {held} messages of {queue}, and fell silent"


def _processes(moment: Moment, tallies: dict[str, Tally]) -> Iterator[int]:
    """Look at who is connected, and who gives signs of life."""
    del moment
    state = _connect(runtime().settings.state_url)
    silent = heartbeats.silent(state)
    if silent:
        # After Redis was wiped all are silent until their next sign.
        time.sleep(2 * heartbeats.PERIOD_SECONDS)
        silent = heartbeats.silent(state)
    found = len(heartbeats.living(state)) + len(silent)
    wrong = [(name, "is connected to Redis, and gives no sign of life") for name in silent]
    tallies["processes_heard"].add(found, wrong)
    yield found


def _connect(url: str) -> "redis.Redis":
    return redis.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_SECONDS, socket_connect_timeout=SOCKET_TIMEOUT_SECONDS
    )


#: Part -> what goes through it.
PARTS: dict[str, Callable[[Moment, dict[str, Tally]], Iterator[int]]] = {
    "published sessions": _published,
    "queues": _queues,
    "processes": _processes,
}
