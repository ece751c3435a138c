"""Which message a worker's thread begins with, and what becomes of those that it does not."""

import threading
from queue import Empty
from types import SimpleNamespace
from typing import Any

import pytest
from dramatiq.worker import _WorkQueueItem

from paywindow.work_queue import WorkQueue

QUEUES = ("interactive", "events", "follow-ups")


def item(queue: str, priority: int = 0) -> Any:
    return _WorkQueueItem(priority, SimpleNamespace(queue_name=queue))  # type: ignore[arg-type]


def begin(queue: WorkQueue) -> "tuple[str, threading.Event]":
    """Have a thread of its own begin with the next message: that message's queue, and what ends its work."""
    begun: list[str] = []
    started, end = threading.Event(), threading.Event()

    def work() -> None:
        begun.append(queue.get(timeout=5).message.queue_name)
        started.set()
        end.wait()
        queue.task_done()

    threading.Thread(target=work, daemon=True).start()
    assert started.wait(10)
    return begun[0], end


def filled(*items: Any, threads: int = 8) -> WorkQueue:
    queue = WorkQueue(threads, QUEUES)
    for each in items:
        queue.put(each)
    return queue


def test_the_most_urgent_message_is_first_and_among_equals_the_oldest() -> None:
    first, second = item("events", 10), item("events", 10)
    queue = filled(first, second, item("follow-ups", 5))

    assert [queue.get().message.queue_name for _ in range(2)] == ["follow-ups", "events"]
    assert queue.get() is second


def test_messages_of_one_queue_that_hang_leave_a_thread_for_each_of_the_others() -> None:
    queue = filled(*[item("interactive") for _ in range(20)])
    for _ in range(6):
        assert begin(queue)[0] == "interactive"
    with pytest.raises(Empty):
        queue.get(timeout=0.01)

    queue.put(item("events", 10))
    assert begin(queue)[0] == "events"
    queue.put(item("follow-ups", 5))
    assert begin(queue)[0] == "follow-ups"


def test_two_queues_that_hang_leave_a_thread_for_the_third() -> None:
    queue = filled(*[item(name) for name in ("interactive", "events") for _ in range(20)])
    for _ in range(7):
        begin(queue)
    with pytest.raises(Empty):
        queue.get(timeout=0.01)

    queue.put(item("follow-ups"))
    assert begin(queue)[0] == "follow-ups"


def test_a_thread_that_is_done_makes_room_for_what_had_to_wait() -> None:
    queue = filled(*[item("interactive") for _ in range(7)])
    ends = [begin(queue)[1] for _ in range(6)]
    ends[0].set()

    assert begin(queue)[0] == "interactive"


def test_a_worker_with_fewer_threads_than_queues_uses_all_of_them() -> None:
    queue = filled(*[item("interactive") for _ in range(3)], threads=3)

    assert [begin(queue)[0] for _ in range(3)] == ["interactive"] * 3


def test_whoever_does_not_wait_gets_everything() -> None:
    queue = filled(*[item("interactive") for _ in range(9)])
    for _ in range(6):
        begin(queue)

    assert [queue.get_nowait().message.queue_name for _ in range(3)] == ["interactive"] * 3
    with pytest.raises(Empty):
        queue.get_nowait()


def test_a_closed_queue_gives_back_what_it_has_in_order_and_what_still_comes() -> None:
    later, sooner, late = item("events", 10), item("interactive", 0), item("events", 10)
    queue = filled(later, sooner)
    given: list[Any] = []
    queue.close(given.extend)
    assert given == [sooner.message, later.message]

    queue.put(late)

    assert given == [sooner.message, later.message, late.message]
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.join()
