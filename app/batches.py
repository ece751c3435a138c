"""Many askers, one errand at a time: what is asked for while an errand is on its way gathers and leaves together in the next.

So the cost of a round trip is shared by all who wait for one, and nobody waits for company: an idle :class:`Batches` sends a
single item at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Sends items in batches. Used from one event loop.

    ``send`` takes at most ``size`` items and gives an answer for each, in their order; ``failure`` makes, of what it raised
    instead, the exception for one asker: one that is raised in several places would collect all their tracebacks.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        failure: Callable[[Exception], Exception],
        *,
        size: int = 500,
        name: str,
    ):
        self._send = send
        self._failure = failure
        self._size = size
        self._name = name
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, item: Item) -> Answer:
        """The answer to an item. Raises what ``failure`` makes."""
        # Kept: to find it, Python 3.11 asks the system for the process's id, each time.
        self._loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((item, answer))
        if self._sender is None:
            # In a context of its own: it outlives the request that happened to begin it.
            self._sender = asyncio.create_task(self._send_all(), name=self._name, context=Context())
        return await answer

    async def finish(self) -> None:
        """Return once all that was asked for has been answered or has failed."""
        if self._sender is not None:
            await self._sender

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                count = min(self._size, len(self._waiting))
                await self._errand([self._waiting.popleft() for _ in range(count)])
        finally:
            self._sender = None

    async def _errand(self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        answers: Sequence[Answer] = ()
        cause: Exception = asyncio.InvalidStateError("the sender was ended")
        try:
            answers = await self._send([item for item, _ in batch])
        except Exception as error:  # whatever it is, it belongs to those who wait
            cause = error
        finally:
            # Also when this task is cancelled: nobody may be left waiting.
            for index, (_, waiting) in enumerate(batch):
                if waiting.done():  # its asker went away
                    continue
                if index < len(answers):
                    waiting.set_result(answers[index])
                else:
                    failure = self._failure(cause)
                    failure.__cause__ = cause
                    waiting.set_exception(failure)
