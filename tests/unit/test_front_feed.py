"""Following sessions: the latest wins, nothing is shown twice or backwards, and many followers cost one reading."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

import pytest

from paywindow import published
from paywindow.errors import Problem
from paywindow.front.feed import MAX_FOLLOWERS, Feed, Follower
from paywindow.front.snapshots import View
from paywindow.front.waiting import Waiter

_LONG = 3600.0


def view(version: int, *, closing: bool = False, closes_ms: int = 0) -> View:
    return View(version, closing, service="{}", buyer="{}", expires_ms=0, closes_ms=closes_ms)


class Snapshots:
    """In place of Redis: what lies there, and how often it was read."""

    def __init__(self) -> None:
        self.found: dict[uuid.UUID, View | Exception] = {}
        self.readings = 0

    async def read(self, session_id: uuid.UUID) -> View:
        self.readings += 1
        await asyncio.sleep(0)
        found = self.found[session_id]
        if isinstance(found, Exception):
            raise found
        return found


class Scene:
    """A feed over snapshots that a test publishes."""

    def __init__(self, *, limit: int = 10_000, look_again_seconds: float = _LONG) -> None:
        self.snapshots = Snapshots()
        self.waiter = Waiter(None)  # type: ignore[arg-type] # nothing is read from Redis here
        self.feed = Feed(
            self.snapshots,  # type: ignore[arg-type]
            self.waiter,
            limit=limit,
            look_again_seconds=look_again_seconds,
        )

    def publish(self, session_id: uuid.UUID, found: View | Exception) -> None:
        self.snapshots.found[session_id] = found
        self.waiter._wake(published.session_key(session_id))

    async def settled(self) -> None:
        """Let everything that is awake do what it can."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def scenes() -> AsyncIterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(**options: float) -> Scene:
        made.append(Scene(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for scene in made:
        scene.waiter.release()
        await scene.feed.close()


@pytest.fixture
def scene(scenes: Callable[..., Scene]) -> Scene:
    return scenes()


SESSION = uuid.uuid4()


async def test_a_change_reaches_who_follows(scene: Scene) -> None:
    scene.publish(SESSION, view(1))
    with scene.feed.follow(SESSION, view(1)) as follower:
        await scene.settled()
        scene.publish(SESSION, view(2))
        assert await follower.next(_LONG) == view(2)


async def test_what_was_published_between_reading_and_following_is_not_missed(scene: Scene) -> None:
    scene.publish(SESSION, view(2))
    with scene.feed.follow(SESSION, view(1)) as follower:
        assert await follower.next(_LONG) == view(2)
        scene.snapshots.found[SESSION] = view(3)  # unheard
        with scene.feed.follow(SESSION, view(2)) as second:
            assert await second.next(_LONG) == view(3)
            assert await follower.next(_LONG) == view(3)


async def test_of_many_changes_a_late_comer_gets_the_last(scene: Scene) -> None:
    scene.publish(SESSION, view(1))
    with scene.feed.follow(SESSION, view(1)) as follower:
        for version in range(2, 50):
            scene.publish(SESSION, view(version))
            await scene.settled()
        assert await follower.next(_LONG) == view(49)
        assert await follower.next(0) is None


@pytest.mark.parametrize("found", [view(7), view(6), view(6, closing=True)], ids=["same", "older", "older, closing"])
async def test_what_was_seen_already_or_is_older_is_dropped(scene: Scene, found: View) -> None:
    scene.publish(SESSION, found)
    with scene.feed.follow(SESSION, view(7)) as follower:
        await scene.settled()
        assert scene.snapshots.readings
        assert await follower.next(0) is None


async def test_the_deadline_passes_without_anybody_saying_so(scene: Scene) -> None:
    # Given: a window that ends in a moment
    closes_ms = int(time.time() * 1000) + 50
    scene.publish(SESSION, view(1, closes_ms=closes_ms))
    with scene.feed.follow(SESSION, view(1)) as follower:
        await scene.settled()
        # When: its time passes, and it is read as closing
        scene.snapshots.found[SESSION] = view(1, closing=True, closes_ms=closes_ms)
        # Then: that is news, though the version is the same
        assert await follower.next(_LONG) == view(1, closing=True, closes_ms=closes_ms)


async def test_a_change_that_nobody_heard_of_is_found_by_looking_again(scenes: Callable[..., Scene]) -> None:
    scene = scenes(look_again_seconds=0.02)
    scene.publish(SESSION, view(1))
    with scene.feed.follow(SESSION, view(1)) as follower:
        await scene.settled()
        scene.snapshots.found[SESSION] = view(2)
        assert await follower.next(_LONG) == view(2)


async def test_an_outage_ends_no_following(scenes: Callable[..., Scene]) -> None:
    scene = scenes(look_again_seconds=0.02)
    scene.publish(SESSION, Problem("timed_out", "The workers are away."))
    with scene.feed.follow(SESSION, view(1)) as follower:
        await scene.settled()
        scene.snapshots.found[SESSION] = OSError("no connection")
        await scene.settled()
        scene.snapshots.found[SESSION] = view(2)
        assert await follower.next(_LONG) == view(2)


async def test_thousands_of_followers_of_many_sessions_cost_a_reading_per_session_and_change(scene: Scene) -> None:
    # Given: 100 sessions with as many followers as each may have
    sessions = [uuid.uuid4() for _ in range(100)]
    for each in sessions:
        scene.publish(each, view(1))
    with ExitStack() as stack:
        followers: list[Follower] = []
        for each in sessions:
            followers += [stack.enter_context(scene.feed.follow(each, view(1))) for _ in range(MAX_FOLLOWERS)]
        await scene.settled()
        before = scene.snapshots.readings
        # When: every session changes
        for each in sessions:
            scene.publish(each, view(2))
        # Then: all 5,000 hear of it, and each session was read once
        assert await asyncio.gather(*(follower.next(_LONG) for follower in followers)) == [view(2)] * 5000
        assert scene.snapshots.readings - before == len(sessions)
        # And: a process has one task per session, not per follower
        assert len(scene.feed._tasks) == len(sessions)
    # And: nothing stays behind when all have left
    await scene.settled()
    assert (scene.feed._tasks, scene.feed._topics, dict(scene.waiter._watching)) == (set(), {}, {})


async def test_too_many_followers_are_refused_and_make_room_again(scenes: Callable[..., Scene]) -> None:
    scene = scenes(limit=2)
    other = uuid.uuid4()
    scene.publish(SESSION, view(1))
    scene.publish(other, view(1))
    with scene.feed.follow(SESSION, view(1)):
        with scene.feed.follow(other, view(1)), pytest.raises(Problem) as refused, scene.feed.follow(other, view(1)):
            pass
        assert refused.value.code == "unavailable"
        with scene.feed.follow(other, view(1)):
            pass


async def test_nobody_can_fill_a_process_with_followers_of_one_session(scene: Scene) -> None:
    scene.publish(SESSION, view(1))
    with ExitStack() as stack:
        for _ in range(MAX_FOLLOWERS):
            stack.enter_context(scene.feed.follow(SESSION, view(1)))
        with pytest.raises(Problem, match="Too many"):
            stack.enter_context(scene.feed.follow(SESSION, view(1)))


async def test_when_the_process_ends_everybody_is_let_go(scene: Scene) -> None:
    scene.publish(SESSION, view(1))
    with scene.feed.follow(SESSION, view(1)) as follower:
        waiting = asyncio.create_task(follower.next(_LONG))
        await scene.settled()
        scene.waiter.release()
        assert await waiting is None
        assert scene.feed.stopping
        await scene.feed.close()
