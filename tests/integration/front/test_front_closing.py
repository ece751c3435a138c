"""What a front end runs beside its requests ends with it, at whatever moment that comes."""

import asyncio

import pytest
import redis.asyncio

from paywindow.front.guard import Guard
from paywindow.front.waiting import Waiter

#: More steps of the event loop than connecting and the first command to Redis take.
STEPS = range(40)


@pytest.mark.parametrize("steps", STEPS)
async def test_a_guard_can_be_closed_at_any_moment(redis_url: str, steps: int) -> None:
    guard = Guard(redis_url, "test")
    guard.start()
    for _ in range(steps):
        await asyncio.sleep(0)

    await guard.close()


@pytest.mark.parametrize("steps", STEPS)
async def test_a_waiter_can_be_closed_at_any_moment(redis_url: str, steps: int) -> None:
    async with redis.asyncio.Redis.from_url(redis_url, socket_timeout=3, decode_responses=True) as client:
        waiter = Waiter(client, sweep_seconds=0.05)
        waiter.start()
        for _ in range(steps):
            await asyncio.sleep(0)

        await waiter.close()
