"""Sessions as they change, for any number of followers: what the event streams are made of.

One task per followed session reads its snapshot whenever the subscription of :mod:`paywindow.front.waiting` says that it
was published, when its deadline passes, and every few seconds for what may have been missed. Followers are handed the newest view
that they have not seen; one that does not come for it finds a newer one in its place. So a session costs one reading
of Redis per change, however many follow it, and none of its texts in memory between two; a slow follower delays nobody.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from paywindow import clock, published
from paywindow.enqueue import NotEnqueued
from paywindow.errors import Problem
from paywindow.front.snapshots import SnapshotReader, View
from paywindow.front.waiting import Waiter, set_before

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 15.0
#: Followers of one session: a buyer with several tabs and devices, and the marketplace's servers.
MAX_FOLLOWERS = 50
#: How long after its deadline a session is looked at, so that the reader's clock has surely passed it.
_PAST_DEADLINE_SECONDS = 0.005


class Follower:
    """One who follows a session, and what it has seen. Made by :meth:`Feed.follow`."""

    def __init__(self, seen: View) -> None:
        self._seen = seen.stamp
        self._newest: View | None = None
        self._news = asyncio.Event()

    async def next(self, seconds: float) -> View | None:
        """The newest view, if it is newer than the last one; else ``None``, after ``seconds`` or when the process ends."""
        await set_before(asyncio.get_running_loop().time() + seconds, self._news)
        self._news.clear()
        view, self._newest = self._newest, None
        if view is not None:
            self._seen = view.stamp
        return view

    def offer(self, view: View) -> None:
        """Put a view in the place of an older one; what was seen already is dropped."""
        if view.stamp > (self._newest.stamp if self._newest is not None else self._seen):
            self._newest = view
            self._news.set()

    def wake(self) -> None:
        """End the wait that is under way."""
        self._news.set()


@dataclass(slots=True)
class _Topic:
    """A followed session."""

    followers: set[Follower] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Feed:
    """Follows sessions. ``look_again_seconds``: how often one is read although nobody said that it changed.

    ``limit``: followers of this process; beyond it, and beyond :data:`MAX_FOLLOWERS` of one session, new ones are refused.
    """

    def __init__(
        self, snapshots: SnapshotReader, waiter: Waiter, *, limit: int, look_again_seconds: float = LOOK_AGAIN_SECONDS
    ):
        self._snapshots = snapshots
        self._waiter = waiter
        self._limit = limit
        self._look_again_seconds = look_again_seconds
        self._topics: dict[uuid.UUID, _Topic] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end, and followers should leave."""
        return self._waiter.stopping

    @contextmanager
    def follow(self, session_id: uuid.UUID, seen: View) -> Iterator[Follower]:
        """Follow a session from the view that was just read. Raises ``unavailable`` when too many do."""
        topic = self._topics.get(session_id)
        if self._count >= self._limit or (topic is not None and len(topic.followers) >= MAX_FOLLOWERS):
            raise Problem("unavailable", "Too many event streams are open; ask for the status instead.")
        follower = Follower(seen)
        if topic is None:
            topic = self._topics[session_id] = _Topic()
            self._start(session_id, topic)
        topic.woken.set()  # what was published since the caller's reading is found by the next one
        topic.followers.add(follower)
        self._count += 1
        try:
            yield follower
        finally:
            self._count -= 1
            topic.followers.discard(follower)
            if not topic.followers:
                del self._topics[session_id]
                topic.woken.set()

    async def close(self) -> None:
        """Wait for the tasks; the waiter has been released, so each ends by itself."""
        await asyncio.gather(*self._tasks)

    def _start(self, session_id: uuid.UUID, topic: _Topic) -> None:
        task = asyncio.create_task(self._read_on(session_id, topic), name=f"feed-{session_id}", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_on(self, session_id: uuid.UUID, topic: _Topic) -> None:
        """Read the session as long as somebody follows it. Registered before the first reading, so nothing is missed."""
        with self._waiter.watching(published.session_key(session_id), topic.woken):
            while topic.followers and not self.stopping:
                topic.woken.clear()
                view = await self._read(session_id)
                if view is not None:
                    for follower in topic.followers:
                        follower.offer(view)
                rest = self._rest(session_id, view)
                del view  # its texts are large, and this waits for long
                await set_before(asyncio.get_running_loop().time() + rest, topic.woken)
        for follower in topic.followers:
            follower.wake()

    async def _read(self, session_id: uuid.UUID) -> View | None:
        try:
            return await self._snapshots.read(session_id)
        except (Problem, NotEnqueued, RedisError, OSError) as error:
            # The followers keep what they have; whoever comes back, Redis or the workers, is asked again soon.
            log.info("session %s could not be read for its followers: %s", session_id, type(error).__name__)
            return None

    def _rest(self, session_id: uuid.UUID, view: View | None) -> float:
        """Seconds until the session is read again though nobody says that it changed: not all at one moment."""
        spread = 0.75 + session_id.int % 256 / 512
        rest = self._look_again_seconds * spread
        if view is None or view.closing or not view.closes_ms:
            return rest
        return min(rest, view.remaining_ms(clock.now()) / 1000 + _PAST_DEADLINE_SECONDS)
