"""Reading a session's snapshot, and having it published again when Redis does not hold it."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError

from paywindow import clock, messages, published
from paywindow.batches import Batches
from paywindow.enqueue import Enqueuer
from paywindow.errors import Problem
from paywindow.front.waiting import Waiter

Audience = Literal["service", "buyer"]

_FIELDS = ("v", "missing", "expires_ms", "closes_ms", "service", "buyer", "service_closing", "buyer_closing")


@dataclass(frozen=True, slots=True)
class View:
    """A session's public face as it is true now. ``expires_ms``: the window's end in Unix milliseconds."""

    version: int
    closing: bool
    service: str
    buyer: str
    expires_ms: int
    closes_ms: int

    @property
    def stamp(self) -> tuple[int, bool]:
        """Orders the views of a session: by version, and within one the deadline passes."""
        return self.version, self.closing

    def remaining_ms(self, now: datetime) -> int:
        """What is left of an open window, in milliseconds; 0 when there is nothing to wait for."""
        return max(0, self.closes_ms - int(now.timestamp() * 1000))

    def text(self, audience: Audience) -> str:
        """The JSON document for the marketplace or the buyer."""
        return self.service if audience == "service" else self.buyer

    def without_texts(self) -> "View":
        """For whoever keeps it and has shown it: the texts are most of its size."""
        return replace(self, service="", buyer="")

    def etag(self, audience: Audience) -> str:
        """Names exactly this text: the version, who reads it, and whether the deadline has passed."""
        return f"{self.version}-{audience}{'-closing' if self.closing else ''}"


class SnapshotReader:
    """Reads snapshots from the state database. ``seconds``: how long a re-publication is waited for."""

    def __init__(self, client: "redis.asyncio.Redis", waiter: Waiter, enqueuer: Enqueuer, *, seconds: float):
        self._redis = client
        self._read_snapshots = client.register_script(published.READ_SNAPSHOTS)
        self._readings = Batches(self._read_all, _not_read, name="snapshots")
        self._waiter = waiter
        self._enqueuer = enqueuer
        self._seconds = seconds
        self._asking: dict[uuid.UUID, asyncio.Task[View | Missing | None]] = {}

    async def read(self, session_id: uuid.UUID) -> View:
        """The session as it stands.

        A miss asks the workers once, however many callers wait. Raises :class:`~paywindow.errors.Problem`:
        ``not_found`` for an unknown id, ``timed_out`` when no worker answered, and the enqueuer's errors.
        """
        found = await self._look(session_id)
        if found is None:
            found = await self._ask_once(session_id)
        if found is None:
            raise Problem("timed_out", "The session's state is being read again; try again in a moment.")
        if isinstance(found, Missing):
            raise Problem("not_found", "There is no payment session with this id.")
        return found

    async def reach(self, session_id: uuid.UUID, version: int) -> bool:
        """Wait until the session is published at this version or a later one; whether it was, in time.

        Raises the enqueuer's errors.
        """

        async def reached() -> bool | None:
            have = await self._redis.hget(published.session_key(session_id), "v")
            return True if have is not None and int(have) >= version else None

        found = await self._waiter.wait(
            [published.session_key(session_id)],
            reached,
            seconds=self._seconds,
            ask=lambda: self._enqueuer.enqueue(messages.publish_session(session_id)),
        )
        return found is not None

    async def _ask_once(self, session_id: uuid.UUID) -> "View | Missing | None":
        task = self._asking.get(session_id)
        if task is None:
            task = asyncio.create_task(self._ask(session_id))
            self._asking[session_id] = task
            task.add_done_callback(lambda _: self._asking.pop(session_id))
        # Shielded: one caller who goes away must not end the wait of the others.
        return await asyncio.shield(task)

    async def _ask(self, session_id: uuid.UUID) -> "View | Missing | None":
        return await self._waiter.wait(
            [published.session_key(session_id)],
            lambda: self._look(session_id),
            seconds=self._seconds,
            ask=lambda: self._enqueuer.enqueue(messages.publish_session(session_id)),
        )

    async def _look(self, session_id: uuid.UUID) -> "View | Missing | None":
        fields = dict(zip(_FIELDS, await self._readings.ask(published.session_key(session_id)), strict=True))
        if fields["v"] is None:
            return None
        return Missing() if fields["missing"] else _view(fields)

    async def _read_all(self, keys: Sequence[str]) -> list[list[str | None]]:
        found: list[list[str | None]] = await self._read_snapshots(keys, _FIELDS)
        return found


def _not_read(_: Exception) -> RedisConnectionError:
    return RedisConnectionError("the snapshot could not be read")


class Missing:
    """The workers looked: there is no such session."""


def _view(fields: Mapping[str, Any]) -> View:
    closes_ms = int(fields["closes_ms"])
    closing = bool(closes_ms) and clock.now().timestamp() * 1000 >= closes_ms
    return View(
        version=int(fields["v"]),
        closing=closing,
        service=fields["service_closing" if closing else "service"],
        buyer=fields["buyer_closing" if closing else "buyer"],
        expires_ms=int(fields["expires_ms"]),
        closes_ms=closes_ms,
    )
