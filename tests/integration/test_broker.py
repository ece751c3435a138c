"""The broker on a real Redis: who is tried again, and that no message is lost on the way."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from dramatiq import Message, Worker
from support.jobs import declare, workers

from paywindow.broker import MAX_RETRIES, Broker, make_broker
from paywindow.embedded import EmbeddedRedis
from paywindow.errors import Permanent, Transient


@pytest.fixture
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    monkeypatch.setattr("paywindow.broker.MIN_BACKOFF_MS", 1)
    monkeypatch.setattr("paywindow.broker.MAX_BACKOFF_MS", 2)
    made = make_broker(redis_url)
    yield made
    made.close()


@pytest.fixture
def work(broker: Broker) -> Iterator[Callable[[], Worker]]:
    """Start a worker in this process; stopped after the test."""
    with workers(broker) as start:
        yield start


def dead(broker: Broker) -> int:
    """How many messages are kept as dead letters."""
    return int(broker.client.zcard("dramatiq:jobs.XQ"))


def until(condition: Callable[[], Any]) -> None:
    while not condition():
        threading.Event().wait(0.01)


@pytest.mark.parametrize(
    ("error", "runs"),
    [(Permanent("no"), 1), (Transient("later"), 1 + MAX_RETRIES), (ValueError("bug"), 1 + MAX_RETRIES)],
)
def test_what_cannot_get_better_is_not_tried_again_and_all_else_a_few_times(
    broker: Broker, work: Callable[[], Worker], error: Exception, runs: int
) -> None:
    seen = []

    def job() -> None:
        seen.append(1)
        raise error

    declare(broker, job).send()
    work()

    until(lambda: dead(broker))
    assert len(seen) == runs
    assert dead(broker) == 1


@pytest.mark.parametrize("away", [redis.ConnectionError("away"), redis.TimeoutError("hangs")])
def test_a_message_outlasts_a_redis_for_what_is_published_that_is_away(
    broker: Broker, work: Callable[[], Worker], away: Exception
) -> None:
    seen = []

    def job() -> None:
        seen.append(1)
        if len(seen) <= 3 * MAX_RETRIES:
            raise away

    declare(broker, job).send()
    work()

    until(lambda: len(seen) > 3 * MAX_RETRIES)
    assert dead(broker) == 0


def test_a_message_that_succeeds_at_its_second_try_is_done(broker: Broker, work: Callable[[], Worker]) -> None:
    seen = []

    def job() -> None:
        seen.append(1)
        if len(seen) == 1:
            raise Transient("later")

    declare(broker, job).send()
    work()

    until(lambda: len(seen) == 2)
    broker.join("jobs")
    assert dead(broker) == 0


def test_a_retry_that_cannot_be_enqueued_keeps_its_message_as_a_dead_letter(
    broker: Broker, work: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def job() -> None:
        raise Transient("later")

    declare(broker, job).send()

    def refuse(message: Message[Any], *, delay: int | None = None) -> None:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(broker, "enqueue", refuse)
    work()

    until(lambda: dead(broker))
    assert dead(broker) == 1


def test_a_consumer_that_starts_again_takes_back_what_its_process_had_fetched(broker: Broker) -> None:
    declare(broker, lambda: None).send()
    lost = broker.consume("jobs", prefetch=5, timeout=10)
    assert next(lost) is not None
    assert broker.client.llen("dramatiq:jobs") == 0

    again = broker.consume("jobs", prefetch=5, timeout=10)

    message = next(again)
    assert message is not None
    assert message.actor_name == "job"
    again.ack(message)
    assert broker.client.hlen("dramatiq:jobs.msgs") == 0


def test_retries_that_were_waiting_when_redis_was_restarted_are_not_stalled(
    redis_server: EmbeddedRedis, broker: Broker, work: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def job() -> None:
        seen.append(1)

    actor = declare(broker, job)
    actor.send_with_options(delay=700)
    worker = work()
    delayed = f"dramatiq:__acks__.{broker.broker_id}.jobs.DQ"
    until(lambda: broker.client.scard(delayed))
    redis_server.stop()
    redis_server.start()

    until(lambda: seen)
    assert worker is not None
