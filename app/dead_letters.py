"""Dead letters: messages whose actor failed for good, as Dramatiq keeps them in Redis (``<namespace>:<queue>.XQ``).

None is dropped silently: the broker keeps them until an operator runs them again or discards them. The rows of Postgres are
the truth, so most dead letters tell of work that a sweep has long done again; the error says what to mend.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from dramatiq import Message

from paywindow.messages import QUEUED_AT, Queue

NAMESPACE = "dramatiq"

# One step, so that a message is never in both places or in neither.
_REVIVE = """
local data = redis.call('HGET', KEYS[2], ARGV[1])
if not data then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
redis.call('RPUSH', KEYS[3], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that failed for good. ``id`` is its id in Redis, by which it is run again or discarded."""

    id: str
    queue: str
    actor: str
    arguments: dict[str, Any]
    died_at: datetime
    retries: int
    traceback: str | None

    @property
    def error(self) -> str:
        """The last line of the traceback: the error itself."""
        return self.traceback.strip().splitlines()[-1] if self.traceback else "not recorded"


class DeadLetters:
    """The dead letters of all queues of one broker."""

    def __init__(self, client: "redis.Redis"):
        self._redis: Any = client  # the annotations of redis-py cover asyncio and decoded answers, too
        self._revive = client.register_script(_REVIVE)

    def count(self) -> dict[str, int]:
        """How many there are, by queue."""
        return {queue.value: int(self._redis.zcard(_xq(queue))) for queue in Queue}

    def all(self) -> Iterator[DeadLetter]:
        """All of them, queue by queue, oldest first."""
        for queue in Queue:
            for message_id, died_ms in self._redis.zrange(_xq(queue), 0, -1, withscores=True):
                data = self._redis.hget(f"{_xq(queue)}.msgs", message_id)
                if data is not None:
                    yield _read(message_id.decode(), queue, died_ms, data)

    def find(self, message_id: str) -> DeadLetter | None:
        """The one with this id."""
        return next((letter for letter in self.all() if letter.id == message_id), None)

    def run_again(self, letter: DeadLetter) -> bool:
        """Put the message back into its queue with its tries forgotten; false when it is no longer dead."""
        data = self._redis.hget(f"{_xq(letter.queue)}.msgs", letter.id)
        if data is None:
            return False
        message = Message.decode(data)
        for leftover in ("retries", "traceback", "requeue_timestamp", "eta"):
            message.options.pop(leftover, None)
        message.options[QUEUED_AT] = int(time.time() * 1000)
        queue = f"{NAMESPACE}:{letter.queue}"
        revived = message.copy(queue_name=letter.queue).encode()
        keys = [_xq(letter.queue), f"{_xq(letter.queue)}.msgs", queue, f"{queue}.msgs"]
        return bool(self._revive(keys=keys, args=[letter.id, revived]))

    def discard(self, letter: DeadLetter) -> bool:
        """Forget the message; false when it is no longer dead."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zrem(_xq(letter.queue), letter.id)
            pipeline.hdel(f"{_xq(letter.queue)}.msgs", letter.id)
            return bool(pipeline.execute()[0])


def _xq(queue: str) -> str:
    return f"{NAMESPACE}:{queue}.XQ"


def _read(message_id: str, queue: Queue, died_ms: float, data: bytes) -> DeadLetter:
    message = json.loads(data)
    options = message["options"]
    return DeadLetter(
        id=message_id,
        queue=queue.value,
        actor=message["actor_name"],
        arguments=message["kwargs"],
        died_at=datetime.fromtimestamp(died_ms / 1000, UTC),
        retries=int(options.get("retries", 0)),
        traceback=options.get("traceback"),
    )
