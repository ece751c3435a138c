"""Waiting for an entry: what the end of the wait does to a reading that is under way."""

import asyncio
from typing import Any

from paywindow.front.waiting import Waiter


async def test_a_reading_under_way_at_the_end_of_the_wait_is_finished_and_counts() -> None:
    # Given: a wait whose second reading takes longer than the wait
    waiter = Waiter(None)  # type: ignore[arg-type] # nothing is read from Redis here
    readings = 0

    async def read() -> str | None:
        nonlocal readings
        readings += 1
        if readings == 1:
            return None
        await asyncio.sleep(0.05)
        return "found"

    async def ask() -> None:
        waiter._wake("entry")

    # When: it is over before that
    found = await waiter.wait(["entry"], read, seconds=0.01, ask=ask)
    # Then: the reading was not cancelled, which would have cost its connection, and its result is the answer
    assert (found, readings) == ("found", 2)


async def test_when_the_time_is_over_it_is_read_one_last_time() -> None:
    waiter = Waiter(None)  # type: ignore[arg-type]
    answers: list[Any] = [None, "found at last"]

    async def read() -> str | None:
        found: str | None = answers.pop(0)
        return found

    async def ask() -> None: ...

    assert await waiter.wait(["entry"], read, seconds=0, ask=ask) == "found at last"


async def test_a_process_that_ends_lets_everybody_go() -> None:
    waiter = Waiter(None)  # type: ignore[arg-type]

    async def read() -> None: ...

    async def ask() -> None:
        waiter.release()

    assert await waiter.wait(["entry"], read, seconds=3600, ask=ask) is None
