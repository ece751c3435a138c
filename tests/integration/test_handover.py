"""A worker that is told to end while it is busy: what it has not begun is another's at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from dramatiq import Worker
from support.jobs import declare

from paywindow.broker import Broker, make_broker


class Office:
    """A worker with one thread. Its messages are written down as they begin; those below ``stuck`` then wait for the gate."""

    def __init__(self, redis_url: str, stuck: int) -> None:
        self.broker = make_broker(redis_url)
        self.begun: list[int] = []
        self.gate = threading.Event()

        def job(number: int) -> None:
            self.begun.append(number)
            if number < stuck:
                self.gate.wait()

        self.job = declare(self.broker, job)
        self.worker = Worker(self.broker, worker_threads=1, worker_timeout=100)

    def acknowledging(self) -> int:
        """How many messages this worker has fetched and not finished, as Redis sees it."""
        return int(self.broker.client.scard(f"dramatiq:__acks__.{self.broker.broker_id}.jobs"))

    def close(self) -> None:
        self.gate.set()
        with suppress(KeyError):
            self.worker.stop()
        self.broker.close()


@pytest.fixture
def open_office(redis_url: str) -> Iterator[Callable[[int], Office]]:
    offices = []

    def make(stuck: int) -> Office:
        offices.append(Office(redis_url, stuck))
        return offices[-1]

    yield make
    for office in offices:
        office.close()


def until(condition: Callable[[], Any]) -> None:
    while not condition():
        threading.Event().wait(0.01)


def test_what_a_stopping_worker_has_not_begun_is_done_by_another_while_it_still_works(
    open_office: Callable[[int], Office],
) -> None:
    # Given: a worker that is busy with its first message and has fetched others
    leaving, staying = open_office(1), open_office(0)
    for number in range(3):
        leaving.job.send(number)
    leaving.worker.start()
    until(lambda: leaving.begun == [0] and leaving.acknowledging() == 2)
    # When: it is told to end, and another one is there
    stopping = threading.Thread(target=leaving.worker.stop)
    stopping.start()
    staying.worker.start()
    # Then: the other one does all the rest, what is enqueued now too, and not what is being worked on
    staying.job.send(3)
    until(lambda: len(staying.begun) == 3)
    assert sorted(staying.begun) == [1, 2, 3]
    assert stopping.is_alive()

    leaving.gate.set()
    stopping.join()
    staying.broker.join("jobs")
    assert (leaving.begun, sorted(staying.begun)) == ([0], [1, 2, 3])
    assert leaving.acknowledging() == 0


def test_the_message_that_a_stopping_worker_is_busy_with_is_not_taken_for_a_dead_ones(
    open_office: Callable[[int], Office],
) -> None:
    leaving = open_office(1)
    leaving.job.send(0)
    leaving.worker.start()
    until(lambda: leaving.begun == [0])
    stopping = threading.Thread(target=leaving.worker.stop)
    stopping.start()
    until(leaving.broker.draining.is_set)

    def last_beat() -> float:
        return float(leaving.broker.client.zscore("dramatiq:__heartbeats__", leaving.broker.broker_id))

    before = last_beat()
    until(lambda: last_beat() > before)

    leaving.gate.set()
    stopping.join()


def test_what_was_fetched_as_the_worker_was_told_to_end_goes_back(redis_url: str) -> None:
    broker: Broker = make_broker(redis_url)
    job = declare(broker, lambda: None)
    job.send()
    job.send()
    consumer = broker.consume("jobs", prefetch=5, timeout=10)
    assert next(consumer) is not None
    assert broker.client.llen("dramatiq:jobs") == 0

    broker.draining.set()

    assert next(consumer) is None
    assert broker.client.llen("dramatiq:jobs") == 1
    broker.close()
