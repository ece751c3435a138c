"""Redis drops connections that are in use: who used them is told that Redis is away, not that we have broken."""

import asyncio

import pytest
import redis.asyncio
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from paywindow.front.lost_connections import say_when_lost


def test_writing_to_a_connection_that_has_just_been_closed_says_that_redis_is_away(redis_url: str) -> None:
    async def write() -> None:
        pool = say_when_lost(redis.asyncio.ConnectionPool.from_url(redis_url))
        connection = pool.make_connection()
        await connection.connect()
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(RedisConnectionError, match="closed"):
            await connection.send_command("PING", check_health=False)
        await pool.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write())


def test_a_pool_of_encrypted_connections_stays_one() -> None:
    pool = say_when_lost(redis.asyncio.ConnectionPool.from_url("rediss://redis.example"))

    assert issubclass(pool.connection_class, redis.asyncio.SSLConnection)
