"""The scheduler: each tick once, however many schedulers run, and never a pile of waiting sweeps."""

import threading
from collections.abc import Iterator

import pytest
import redis
from dramatiq import Message

from paywindow.actors import registry
from paywindow.messages import ACTORS
from paywindow.schedules.runner import Scheduler
from paywindow.schedules.table import TABLE, Periodic

HOURLY = (Periodic("sweeps.outbox", 3600), Periodic("sweeps.inbox", 3600))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


def queued(client: redis.Redis) -> list[str]:
    """The actors whose messages lie in the sweeps' queue, in order."""
    ids = client.lrange("dramatiq:sweeps", 0, -1)
    return [Message.decode(client.hget("dramatiq:sweeps.msgs", found)).actor_name for found in ids]


def next_tick(client: redis.Redis) -> None:
    """Let the present tick count as an earlier one."""
    for periodic in TABLE:
        if client.get(f"pw:tick:{periodic.actor}"):
            client.decr(f"pw:tick:{periodic.actor}")


def test_every_actor_of_the_table_exists_and_takes_no_arguments() -> None:
    functions = registry.functions()

    for periodic in TABLE:
        assert periodic.actor in ACTORS
        assert functions[periodic.actor].__code__.co_argcount == 0
        assert periodic.seconds > 0
    assert len({periodic.actor for periodic in TABLE}) == len(TABLE)


def test_of_many_schedulers_each_tick_is_enqueued_by_one(client: redis.Redis) -> None:
    schedulers = [Scheduler(client, HOURLY) for _ in range(8)]
    start, claimed = threading.Barrier(8), []

    def tick(scheduler: Scheduler) -> None:
        start.wait()
        claimed.extend(scheduler.tick())

    threads = [threading.Thread(target=tick, args=(scheduler,)) for scheduler in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(queued(client)) == ["sweeps.inbox", "sweeps.outbox"]


def test_a_sweep_that_still_waits_is_not_doubled(client: redis.Redis) -> None:
    scheduler = Scheduler(client, HOURLY)
    scheduler.tick()
    next_tick(client)

    assert scheduler.tick() == []
    assert len(queued(client)) == 2


def test_a_sweep_that_was_done_is_enqueued_again_at_the_next_tick(client: redis.Redis) -> None:
    scheduler = Scheduler(client, HOURLY)
    scheduler.tick()
    client.delete("dramatiq:sweeps", "dramatiq:sweeps.msgs")
    assert scheduler.tick() == []
    next_tick(client)

    assert scheduler.tick() == ["sweeps.outbox", "sweeps.inbox"]


def test_after_redis_was_wiped_the_next_round_enqueues_again(client: redis.Redis) -> None:
    scheduler = Scheduler(client, HOURLY)
    scheduler.tick()
    client.flushall()

    assert scheduler.tick() == ["sweeps.outbox", "sweeps.inbox"]


def test_a_scheduler_stops_when_it_is_told_to(client: redis.Redis) -> None:
    scheduler = Scheduler(client, HOURLY)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    while not queued(client):
        threading.Event().wait(0.01)

    scheduler.stop()
    thread.join()

    assert sorted(queued(client)) == ["sweeps.inbox", "sweeps.outbox"]


def test_an_outage_of_redis_is_told_when_it_begins_and_when_it_ends(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler(client, HOURLY)
    ticks = iter([redis.ConnectionError("refused")] * 3 + [redis.ConnectionError("full")] * 2 + [None, None])

    def tick() -> list[str]:
        outcome = next(ticks, StopIteration)
        if outcome is StopIteration:
            scheduler.stop()
        elif outcome is not None:
            raise outcome
        return []

    scheduler.tick = tick  # type: ignore[method-assign]
    with caplog.at_level("WARNING"):
        scheduler.run()

    assert [record.getMessage() for record in caplog.records] == [
        "no ticks: ConnectionError: refused",
        "no ticks: ConnectionError: full",
        "ticks again",
    ]
