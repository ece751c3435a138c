"""The consumer that Redis wakes: it waits as long as there is nothing, starts at once, and leaves the queue as it is."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Message

from paywindow.broker import Broker, make_broker
from paywindow.consumer import LONGEST_WAIT_SECONDS, Consumer


class Waits:
    """Redis' client as it is, with a record of each wait: how many seconds it may last, and what ended it."""

    def __init__(self, client: Any):
        self._client = client
        self.seconds: list[float] = []
        self.ended_by: list[bytes | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def blmove(self, first: str, second: str, timeout: float, *sides: str) -> Any:
        self.seconds.append(timeout)
        self.ended_by.append(self._client.blmove(first, second, timeout, *sides))
        return self.ended_by[-1]


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    made = make_broker(redis_url)
    made.client = Waits(made.client)
    made.declare_queue("jobs")
    yield made
    made.close()


def message(number: int) -> Message[Any]:
    return Message(queue_name="jobs", actor_name="job", args=(number,), kwargs={}, options={})


def taken(consumer: Consumer) -> Any:
    """The next message, however many waits it takes."""
    while (found := next(consumer)) is None:
        pass
    return found


def until_waiting(broker: Broker) -> None:
    while not any(client["cmd"] == "blmove" for client in broker.client.client_list()):
        threading.Event().wait(0.005)


def test_a_waiting_consumer_is_woken_by_a_message_and_leaves_the_queue_as_it_is(broker: Broker) -> None:
    consumer = broker.consume("jobs", prefetch=1, timeout=60_000)
    woken: list[Any] = []
    thread = threading.Thread(target=lambda: woken.append(taken(consumer)))
    thread.start()
    until_waiting(broker)

    with broker.client.pipeline(transaction=True) as pipeline:  # both at once, so that the order can be told
        for number in (1, 2):
            queued = message(number).copy(options={"redis_message_id": f"id-{number}"})
            pipeline.hset("dramatiq:jobs.msgs", f"id-{number}", queued.encode())
            pipeline.rpush("dramatiq:jobs", f"id-{number}")
        pipeline.execute()
    thread.join()

    assert woken[0].args == (1,)
    assert broker.client.ended_by[-1] == b"id-1"
    assert broker.client.lrange("dramatiq:jobs", 0, -1) == [b"id-2"]


def test_a_consumer_whose_threads_are_busy_waits_for_one_of_them(broker: Broker) -> None:
    for number in (1, 2):
        broker.enqueue(message(number))
    consumer = broker.consume("jobs", prefetch=1, timeout=60_000)
    first = taken(consumer)
    second: list[Any] = []
    thread = threading.Thread(target=lambda: second.append(taken(consumer)))
    thread.start()
    fetched = broker.client.llen("dramatiq:jobs")

    consumer.ack(first)
    thread.join()

    assert fetched == 1
    assert second[0].args == (2,)
    assert broker.client.seconds == []  # it never asked Redis to wait: the queue was not empty


def test_a_consumer_is_awake_when_a_delayed_message_is_due(broker: Broker) -> None:
    broker.enqueue(message(1), delay=300)
    consumer = broker.consume("jobs.DQ", prefetch=10, timeout=60_000)
    due = taken(consumer)

    while time.time() * 1000 < due.options["eta"]:
        next(consumer)
    waited_for_due = list(broker.client.seconds)
    consumer.ack(due)
    next(consumer)

    assert waited_for_due
    assert max(waited_for_due) <= 0.3
    assert broker.client.seconds[-1] == LONGEST_WAIT_SECONDS


def test_the_messages_of_a_worker_that_is_gone_come_back_to_an_idle_one(broker: Broker, redis_url: str) -> None:
    broker.enqueue(message(1))
    gone = make_broker(redis_url)
    taken(gone.consume("jobs", prefetch=1, timeout=10))
    # What ten seconds without a sign of life look like.
    broker.client.zadd("dramatiq:__heartbeats__", {gone.broker_id: 0})

    assert taken(broker.consume("jobs", prefetch=1, timeout=10)).args == (1,)
    gone.close()
