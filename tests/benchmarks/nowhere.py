"""A connection and a Redis that cost nothing, so that what is left is what a front process itself does for a request."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from aiohttp import web

_AT_ONCE = 16


class Connection(asyncio.Transport):
    """What a server writes is taken at once; ``answer`` is done with it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""
        if not self.answer.done():
            self.answer.set_result(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Take them."""
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing is open."""


class Redis:
    """Answers every command of a pipeline, and a script for each of its keys, with ``answer``."""

    def __init__(self, answer: object = None) -> None:
        self._answer = answer

    def pipeline(self, *, transaction: bool) -> "Redis._Pipeline":
        """A pipeline."""
        del transaction
        return self._Pipeline(self._answer)

    def register_script(self, script: str) -> Callable[..., Awaitable[list[object]]]:
        """A script."""
        del script

        async def run(keys: Sequence[str], _: object) -> list[object]:
            return [self._answer] * len(keys)

        return run

    class _Pipeline:
        def __init__(self, answer: object) -> None:
            self._answer, self._commands = answer, 0

        async def __aenter__(self) -> "Redis._Pipeline":
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        def hset(self, *_: object, **__: object) -> None:
            self._commands += 1

        rpush = hset

        async def execute(self) -> list[object]:
            return [self._answer] * self._commands


async def cost(server: Callable[[], Any], requests: Sequence[bytes]) -> float:
    """CPU time of this process for each request, in microseconds; some are on their way at once, as under load.

    Raises :class:`AssertionError` for an answer other than 200.
    """
    waiting = iter(requests)
    began = time.process_time()
    await asyncio.gather(*(_client(server(), waiting) for _ in range(min(_AT_ONCE, len(requests)))))
    return (time.process_time() - began) / len(requests) * 1e6


async def _client(protocol: asyncio.Protocol, waiting: Iterator[bytes]) -> None:
    connection = Connection()
    protocol.connection_made(connection)
    for request in waiting:
        connection.answer = asyncio.get_running_loop().create_future()
        protocol.data_received(request)
        answer = await connection.answer
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
    protocol.connection_lost(None)


async def served(app: web.Application, **options: Any) -> tuple[Callable[[], Any], Callable[[], Awaitable[None]]]:
    """What makes a protocol for a connection to the application, and what ends it."""
    runner = web.AppRunner(app, **options)
    await runner.setup()
    assert runner.server is not None
    return runner.server, runner.cleanup
