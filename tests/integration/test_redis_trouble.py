"""Workers, while Redis is full or gives no answer: nothing is lost, no thread ends, and it goes on by itself."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from dramatiq import Message, Worker
from dramatiq.errors import ConnectionClosed
from support.jobs import declare, workers

from paywindow import messages
from paywindow.broker import Broker, make_broker
from paywindow.published import Outcome, Publisher


@pytest.fixture
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    monkeypatch.setattr("paywindow.broker.SOCKET_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr("paywindow.consumer.LONGEST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.05)
    made = make_broker(redis_url)
    yield made
    made.client.config_set("maxmemory", 0)
    made.close()


@pytest.fixture
def work(broker: Broker) -> Iterator[Callable[[], Worker]]:
    with workers(broker) as start:
        yield start


def until(condition: Callable[[], Any]) -> None:
    while not condition():
        threading.Event().wait(0.01)


def fill(client: Any) -> None:
    """No command that needs memory is taken any more."""
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("one more", "thing")


def threads_alive(worker: Worker) -> bool:
    return all(thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()])


def test_a_full_redis_is_emptied_by_the_workers(broker: Broker, work: Callable[[], Worker]) -> None:
    seen: list[int] = []
    job = declare(broker, seen.append)
    for number in range(5):
        job.send(number)
    fill(broker.client)

    worker = work()

    until(lambda: len(seen) == 5)
    broker.join("jobs")
    assert broker.client.hlen("dramatiq:jobs.msgs") == 0
    assert threads_alive(worker)


def test_a_worker_that_waits_at_an_empty_and_full_redis_goes_on_when_there_is_room(
    broker: Broker, work: Callable[[], Worker]
) -> None:
    seen: list[int] = []
    job = declare(broker, seen.append)
    fill(broker.client)
    worker = work()
    until(lambda: int(broker.client.info("errorstats")["errorstat_OOM"]["count"]) > 3)

    broker.client.config_set("maxmemory", 0)
    job.send(1)

    until(lambda: seen)
    assert threads_alive(worker)


def test_the_answer_to_a_command_is_published_though_redis_is_full(redis_url: str, broker: Broker) -> None:
    operation = messages.uuid.uuid4()
    fill(broker.client)

    Publisher(broker.client).outcome(operation, Outcome(201, {}, "shop", "f"))

    assert broker.client.exists(f"pw:operation:{operation}")


def test_a_redis_that_hangs_costs_no_thread_and_no_message(broker: Broker, work: Callable[[], Worker]) -> None:
    # Given: a message at work, one delayed, and a Redis that takes connections and answers nobody
    seen: list[int] = []
    busy, gate = threading.Event(), threading.Event()

    def job(number: int) -> None:
        seen.append(number)
        busy.set()
        gate.wait()

    actor = declare(broker, job)
    actor.send(1)
    worker = work()
    assert busy.wait(30)
    actor.send_with_options(args=(2,), delay=50)
    broker.client.client_pause(1500)
    # When: the work is done, so that it has to be acknowledged, and the other one is due
    gate.set()
    # Then: both are done, nothing is left behind, and all threads live
    until(lambda: 2 in seen)
    until(lambda: not broker.client.keys("dramatiq:__acks__*"))
    assert threads_alive(worker)
    assert broker.client.hlen("dramatiq:jobs.msgs") == 0
    assert broker.client.zcard("dramatiq:jobs.XQ") == 0


@pytest.mark.parametrize("error", [redis.TimeoutError("no answer"), redis.exceptions.ReadOnlyError("a replica")])
def test_whatever_redis_answers_a_consumer_is_started_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, error: redis.RedisError
) -> None:
    job = declare(broker, lambda: None)
    job.send()
    consumer = broker.consume("jobs", prefetch=1, timeout=10)
    message = next(consumer)

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setitem(broker.scripts, "dispatch", fail)
    for step in (
        lambda: consumer.ack(message),
        lambda: consumer.nack(message),
        lambda: consumer.requeue([message]),
        lambda: next(consumer),
    ):
        with pytest.raises(ConnectionClosed):
            step()


def test_a_message_for_an_actor_that_nobody_knows_is_kept_for_an_operator(
    broker: Broker, work: Callable[[], Worker]
) -> None:
    declare(broker, lambda: None)
    broker.enqueue(Message(queue_name="jobs", actor_name="of.the.next.release", args=(), kwargs={}, options={}))

    work()

    until(lambda: broker.client.zcard("dramatiq:jobs.XQ"))
    assert broker.client.hlen("dramatiq:jobs.XQ.msgs") == 1
