"""A connection to Redis that breaks while it is used says so in the one way that everybody here understands.

uvloop raises ``RuntimeError`` ("the handler is closed") when something is written to a transport that has just been closed, as
happens to connections that Redis drops or that its end catches half open. redis-py passes that on as it is, and a
caller would be told of an error of ours instead of "not now". Found by the chaos suite.
"""

from collections.abc import Iterable

import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError


class _SaysWhenLost(redis.asyncio.connection.AbstractConnection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Raises :class:`redis.exceptions.ConnectionError` also where uvloop says it differently."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise RedisConnectionError(f"the connection is closed: {error}") from error


class _Connection(_SaysWhenLost, redis.asyncio.Connection):
    pass


class _TlsConnection(_SaysWhenLost, redis.asyncio.SSLConnection):
    pass


def say_when_lost(pool: "redis.asyncio.ConnectionPool") -> "redis.asyncio.ConnectionPool":
    """Have the pool make such connections from now on; the same pool."""
    tls = issubclass(pool.connection_class, redis.asyncio.SSLConnection)
    pool.connection_class = _TlsConnection if tls else _Connection
    return pool
