"""Micro-batches: what gathers, what is bounded, and who learns of a failure. The bytes have a contract test."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from paywindow import messages
from paywindow.enqueue import Enqueuer, NotEnqueued, QueueFull


class Pipeline:
    def __init__(self, redis: "FakeRedis"):
        self._redis = redis
        self._ids: list[str] = []

    async def __aenter__(self) -> "Pipeline":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def hset(self, _: str, *, mapping: dict[str, bytes]) -> None:
        pass

    def rpush(self, _: str, *redis_ids: str) -> None:
        self._ids += redis_ids

    async def execute(self) -> None:
        self._redis.in_flight += 1
        assert self._redis.in_flight == 1, "one pipeline in flight"
        self._redis.batches.append(len(self._ids))
        try:
            await self._redis.answer()
        finally:
            self._redis.in_flight -= 1


class FakeRedis:
    """Answers an EXEC when the gate is open; with ``error`` set, by raising it."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.in_flight = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert transaction
        return Pipeline(self)

    async def answer(self) -> None:
        await self.gate.wait()
        if self.error:
            raise self.error


def message() -> Any:
    return messages.build("publish.session", session_id="x")


def send(enqueuer: Enqueuer, count: int) -> "list[asyncio.Task[None]]":
    return [asyncio.create_task(enqueuer.enqueue(message())) for _ in range(count)]


async def all_started(tasks: "list[asyncio.Task[None]]") -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_idle_enqueuer_sends_a_single_message_at_once() -> None:
    redis = FakeRedis()
    await Enqueuer(redis).enqueue(message())  # type: ignore[arg-type]
    assert redis.batches == [1]


async def test_what_arrives_while_a_batch_is_in_flight_leaves_together() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis)  # type: ignore[arg-type]
    redis.gate.clear()
    tasks = send(enqueuer, 1)
    await all_started(tasks)
    tasks += send(enqueuer, 40)
    await all_started(tasks)
    redis.gate.set()
    await asyncio.gather(*tasks)
    assert redis.batches == [1, 40]


async def test_a_batch_has_a_greatest_size() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis, batch=10)  # type: ignore[arg-type]
    await asyncio.gather(*send(enqueuer, 25))
    assert sum(redis.batches) == 25
    assert max(redis.batches) == 10


async def test_nobody_returns_before_redis_confirmed() -> None:
    redis = FakeRedis()
    redis.gate.clear()
    (task,) = send(Enqueuer(redis), 1)  # type: ignore[arg-type]
    await all_started([task])
    assert not task.done()
    redis.gate.set()
    await task


async def test_beyond_the_bound_a_message_is_refused_at_once_and_later_taken_again() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis, limit=3)  # type: ignore[arg-type]
    redis.gate.clear()
    tasks = send(enqueuer, 3)
    await all_started(tasks)
    assert not enqueuer.accepting
    with pytest.raises(QueueFull):
        await enqueuer.enqueue(message())
    redis.gate.set()
    await asyncio.gather(*tasks)
    await enqueuer.enqueue(message())


async def test_a_failure_reaches_everybody_in_the_batch_and_nobody_after_it() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis)  # type: ignore[arg-type]
    redis.error = RedisConnectionError("gone")
    results = await asyncio.gather(*send(enqueuer, 5), return_exceptions=True)
    assert [type(result) for result in results] == [NotEnqueued] * 5
    assert len({id(result) for result in results}) == 5
    assert all(
        isinstance(result.__cause__, RedisConnectionError) for result in results if isinstance(result, NotEnqueued)
    )
    redis.error = None
    await enqueuer.enqueue(message())


async def test_a_caller_who_goes_away_does_not_disturb_the_others() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis)  # type: ignore[arg-type]
    redis.gate.clear()
    tasks = send(enqueuer, 3)
    await all_started(tasks)
    tasks[1].cancel()
    redis.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType", "CancelledError", "NoneType"]


async def test_closing_sends_what_was_taken_and_takes_nothing_more() -> None:
    redis = FakeRedis()
    enqueuer = Enqueuer(redis)  # type: ignore[arg-type]
    tasks = send(enqueuer, 7)
    await all_started(tasks)
    await enqueuer.close()
    assert sum(redis.batches) == 7
    assert await asyncio.gather(*tasks) == [None] * 7
    with pytest.raises(QueueFull):
        await enqueuer.enqueue(message())
