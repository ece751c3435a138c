"""The front end's own enqueue writes what Dramatiq's Redis broker writes."""

import json
from typing import Any
from unittest.mock import patch
from uuid import UUID

import redis
import redis.asyncio
from dramatiq import get_encoder
from dramatiq.brokers.redis import RedisBroker

from paywindow import messages
from paywindow.enqueue import Enqueuer

REDIS_ID = "0b2d7c1e-2a64-4d3b-9a55-0c6c0d8a1f01"


def contents(client: "redis.Redis") -> dict[bytes, Any]:
    """All keys of queues with their values."""
    read = {b"hash": lambda key: read_all(client.hgetall(key)), b"list": lambda key: client.lrange(key, 0, -1)}
    return {key: read[client.type(key)](key) for key in client.keys("dramatiq:*") if b"__" not in key}


def read_all(messages_by_id: dict[bytes, bytes]) -> dict[bytes, Any]:
    """A hash of messages, each as Dramatiq reads it."""
    return {key: get_encoder().decode(data) for key, data in messages_by_id.items()}


async def test_keys_and_messages_are_those_of_the_redis_broker(redis_url: str) -> None:
    # Given: the same message
    message = messages.build("events.receive", body='{"id": "evt_é\\u0000"}', received_at="2026-11-23T10:00:00+00:00")
    with redis.Redis.from_url(redis_url) as client:
        # When: Dramatiq's broker writes it
        with patch("dramatiq.brokers.redis.uuid4", return_value=UUID(REDIS_ID)):
            RedisBroker(url=redis_url, middleware=[]).enqueue(message)
        written_by_dramatiq = contents(client)
        client.flushall()
        # And: our enqueuer does
        async with redis.asyncio.Redis.from_url(redis_url) as ours:
            with patch("paywindow.ids.unique", return_value=REDIS_ID):
                await Enqueuer(ours).enqueue(message)
        # Then: nothing differs
        assert contents(client) == written_by_dramatiq
        assert set(written_by_dramatiq) == {b"dramatiq:events", b"dramatiq:events.msgs"}


async def test_a_dramatiq_consumer_gets_the_message(redis_url: str) -> None:
    message = messages.build("publish.session", session_id="x")
    async with redis.asyncio.Redis.from_url(redis_url) as ours:
        await Enqueuer(ours).enqueue(message)
    consumer = RedisBroker(url=redis_url, middleware=[]).consume("follow-ups", timeout=1000)
    received = next(consumer)
    assert received is not None
    assert (received.message_id, received.kwargs) == (message.message_id, message.kwargs)
    consumer.ack(received)


async def test_each_copy_has_an_id_of_its_own_in_redis(redis_url: str) -> None:
    message = messages.build("publish.session", session_id="x")
    async with redis.asyncio.Redis.from_url(redis_url) as ours:
        enqueuer = Enqueuer(ours)
        await enqueuer.enqueue(message)
        await enqueuer.enqueue(message)
        stored = await ours.hgetall("dramatiq:follow-ups.msgs")
        assert await ours.llen("dramatiq:follow-ups") == 2
    assert {key.decode() for key in stored} == {
        json.loads(data)["options"]["redis_message_id"] for data in stored.values()
    }
