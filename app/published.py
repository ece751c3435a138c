"""What the workers publish for the front end to read: the contract over Redis between the two.

Four kinds of entries live in the *state* database (not the broker's), and all may vanish at any moment:

* **snapshots**, ``pw:session:<id>``: a hash with ``v`` (version), the session's public JSON in up to four shapes (see
  :class:`Snapshot`), and the two moments that the front end compares with the clock;
* **outcomes**, ``pw:operation:<id>``: the answer to a command, with the fingerprint of the request that it answers; under
  ``...:delay``, why there is none yet;
* **replies**, ``pw:reply:<id>``: the answer to a query that no snapshot holds;
* **windows**, ``payment:window:<id>``: empty, its time to live is the time that the window has left.

Whoever waits for an entry subscribes to :data:`WAKE`, on which the name of every entry is published as it is written.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis

from paywindow import clock, jsons, measurements
from paywindow.measurements import Measurement

#: The channel that names each entry as it is written.
WAKE = "pw:wake"

SNAPSHOT_SECONDS = 3 * 86_400
MISSING_SECONDS = 30
#: A remaining time that is off by more than this is put right.
DRIFT_TOLERANCE = timedelta(seconds=1)
#: Stripe and most clients stop repeating an idempotency key after a day; a later read re-publishes from the table.
OUTCOME_SECONDS = 26 * 3600
CONFLICT_SECONDS = 120
REPLY_SECONDS = 60
#: Long enough for whoever waits or looks soon; what lasts is said again with the next try.
DELAY_SECONDS = 60

# A snapshot replaces an older one or a note that the session is unknown; an equal one only wakes (a reader missed it).
# KEYS: the snapshot, the window's remaining time. ARGV: version, seconds to keep, channel, remaining ms, fields.
_PUBLISH_SNAPSHOT = """
local have = redis.call('HGET', KEYS[1], 'v')
if have and tonumber(have) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[2])
if tonumber(ARGV[4]) > 0 then
    redis.call('SET', KEYS[2], '', 'PX', ARGV[4])
else
    redis.call('DEL', KEYS[2])
end
redis.call('PUBLISH', ARGV[3], KEYS[1])
return 1
"""
#: Many snapshots in one answer, which costs a reader a fraction of an answer each. KEYS: the snapshots. ARGV: the fields.
#: To Redis 6 any script may write, so reads wait while writes are paused (FAILOVER, CLIENT PAUSE WRITE).
READ_SNAPSHOTS = """
local found = {}
for place, key in ipairs(KEYS) do found[place] = redis.call('HMGET', key, unpack(ARGV)) end
return found
"""
# Makes the entry of a window unless a snapshot says that it is closed: one that was closed since Postgres was read would seem
# open for as long as it once had. KEYS: the snapshot, the remaining time. ARGV: remaining ms.
_MIRROR_WINDOW = """
if redis.call('HGET', KEYS[1], 'closes_ms') ~= '0' then redis.call('SET', KEYS[2], '', 'PX', ARGV[1]) end
"""

# DEL comes first because it needs no memory: a script that has begun to write may go on when Redis is full.
_PUBLISH_ENTRY = """
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', ARGV[3], KEYS[1])
"""


def session_key(session_id: uuid.UUID) -> str:
    """Where a session's snapshot lies."""
    return f"pw:session:{session_id}"


def operation_key(operation_id: uuid.UUID) -> str:
    """Where an operation's outcome lies."""
    return f"pw:operation:{operation_id}"


def conflict_key(operation_id: uuid.UUID, fingerprint: str) -> str:
    """Where the refusal lies for a request that repeats a key with another body."""
    return f"pw:operation:{operation_id}:{fingerprint}"


def delay_key(operation_id: uuid.UUID) -> str:
    """Where it says why a command takes long, while it does."""
    return f"pw:operation:{operation_id}:delay"


def reply_key(reply_id: uuid.UUID) -> str:
    """Where the answer to a query lies."""
    return f"pw:reply:{reply_id}"


def window_key(session_id: uuid.UUID) -> str:
    """The key whose time to live is the time that a payment window has left."""
    return f"payment:window:{session_id}"


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session's public face at one version.

    ``service`` is the JSON for the marketplace and ``buyer`` for the buyer's token (no platform figures). From
    ``closes_ms`` on (Unix milliseconds, business time; 0: never) the ``*_closing`` shapes are true instead: the deadline
    has passed and Stripe is still to be asked. ``expires_ms`` is the window's end, from which a buyer token's life counts.
    """

    version: int
    service: str
    buyer: str
    service_closing: str
    buyer_closing: str
    expires_ms: int
    closes_ms: int

    def fields(self) -> dict[str, str | int]:
        """The hash as Redis holds it, beside ``v``."""
        return {
            "service": self.service,
            "buyer": self.buyer,
            "service_closing": self.service_closing,
            "buyer_closing": self.buyer_closing,
            "expires_ms": self.expires_ms,
            "closes_ms": self.closes_ms,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a command: HTTP status, JSON body, and whose request it answers."""

    status: int
    body: dict[str, Any]
    client: str
    fingerprint: str

    def encode(self) -> str:
        """The text kept in Postgres and Redis."""
        return jsons.dumps(
            {"status": self.status, "body": self.body, "client": self.client, "fingerprint": self.fingerprint}
        )

    @classmethod
    def decode(cls, text: str | bytes) -> "Outcome":
        """Read what :meth:`encode` wrote."""
        return cls(**jsons.loads(text))


class Publisher:
    """The workers' side: writes entries and wakes whoever waits for them."""

    def __init__(self, client: "redis.Redis"):
        self._redis = client
        self._snapshot = client.register_script(_PUBLISH_SNAPSHOT)
        self._entry = client.register_script(_PUBLISH_ENTRY)
        self._window = client.register_script(_MIRROR_WINDOW)

    def session(self, session_id: uuid.UUID, snapshot: Snapshot) -> None:
        """Publish a snapshot unless a newer one is there."""
        pairs = [part for pair in snapshot.fields().items() for part in pair]
        remaining = snapshot.closes_ms - _now_ms() if snapshot.closes_ms else 0
        self._snapshot(
            keys=[session_key(session_id), window_key(session_id)],
            args=[snapshot.version, SNAPSHOT_SECONDS, WAKE, remaining, *pairs],
        )

    def unknown_session(self, session_id: uuid.UUID) -> None:
        """Remember briefly that there is no such session (version 0 gives way to any real snapshot)."""
        self._snapshot(
            keys=[session_key(session_id), window_key(session_id)], args=[0, MISSING_SECONDS, WAKE, 0, "missing", 1]
        )

    def mirror_windows(self, deadlines: Sequence[tuple[uuid.UUID, datetime]]) -> dict[uuid.UUID, timedelta]:
        """Compare the remaining times in Redis with these deadlines and put right what is off; returns how far each was.

        A missing entry is off by all of its remaining time. Entries of windows whose deadline has passed are not made.
        """
        now = clock.now()
        pending = [(identifier, expires_at) for identifier, expires_at in deadlines if expires_at > now]
        with self._redis.pipeline(transaction=False) as pipeline:
            for identifier, _ in pending:
                pipeline.pttl(window_key(identifier))
            found = pipeline.execute()
            drifts = {}
            for (identifier, expires_at), remaining in zip(pending, found, strict=True):
                right = expires_at - now
                drifts[identifier] = abs(right - timedelta(milliseconds=max(remaining, 0)))
                if drifts[identifier] > DRIFT_TOLERANCE:
                    keys = [session_key(identifier), window_key(identifier)]
                    self._window(keys=keys, args=[right // timedelta(milliseconds=1)], client=pipeline)
            pipeline.execute()
        return drifts

    def outcome(self, operation_id: uuid.UUID, outcome: Outcome) -> None:
        """Publish the answer to a command."""
        self._publish(operation_key(operation_id), outcome.encode(), OUTCOME_SECONDS)

    def conflict(self, operation_id: uuid.UUID, outcome: Outcome) -> None:
        """Publish the refusal of a request that reused a key; the outcome of the first request stays as it is."""
        self._publish(conflict_key(operation_id, outcome.fingerprint), outcome.encode(), CONFLICT_SECONDS)

    def delay(self, operation_id: uuid.UUID, outcome: Outcome) -> None:
        """Tell whoever waits for a command that it goes on later, and why; the outcome, once there, goes before."""
        self._publish(delay_key(operation_id), outcome.encode(), DELAY_SECONDS)

    def reply(self, reply_id: uuid.UUID, outcome: Outcome) -> None:
        """Publish the answer to a query."""
        self._publish(reply_key(reply_id), outcome.encode(), REPLY_SECONDS)

    def measurement(self, measurement: Measurement) -> None:
        """Leave what was measured in Postgres for the schedulers' metrics."""
        measurements.publish(self._redis, measurement)

    def _publish(self, key: str, text: str, seconds: int) -> None:
        self._entry(keys=[key], args=[text, seconds, WAKE])
