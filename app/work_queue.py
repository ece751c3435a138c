"""The queue between a worker's consumers and its threads: each class of work has a thread that the others cannot take.

Dramatiq's own is one priority queue for all of a process's queues. Eight creates that hang at Stripe would hold all eight
threads, and payments that wait to be recorded would wait for them. Here one thread is kept for each queue that has none at work,
so however many messages of one queue hang, the next message of another is begun.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from heapq import heapify, heappop
from queue import Empty, PriorityQueue
from typing import Any

#: Takes messages back to Redis.
GiveBack = Callable[[list[Any]], None]


class WorkQueue(PriorityQueue[Any]):
    """A drop-in for Dramatiq's queue in a worker with ``threads`` threads that serves ``queues``.

    A thread that took an item is at work until it calls :meth:`task_done`. With no more threads than queues nothing is kept back.
    """

    def __init__(self, threads: int, queues: Collection[str]):
        super().__init__()
        self._threads = threads
        self._queues = frozenset(queues) if threads > len(queues) else frozenset()
        self._at_work: Counter[str] = Counter()
        self._mine = threading.local()
        self._give_back: GiveBack | None = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item; after :meth:`close` its message goes back instead. Never blocks: the queue has no bound of its own."""
        del block, timeout
        with self.mutex:
            give_back = self._give_back
            if give_back is None:
                self._put(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()
        if give_back is not None:
            give_back([item.message])

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The most urgent item that may begin now. Raises :class:`queue.Empty`.

        Dramatiq's threads wait; who does not (``block=False``) wants the queue emptied, and gets whatever is there.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.not_empty:
            while not (ready := self.queue if not block else [item for item in self.queue if self._may_begin(item)]):
                left = None if deadline is None else deadline - time.monotonic()
                if not block or (left is not None and left <= 0):
                    raise Empty
                self.not_empty.wait(left)
            item = self._remove(min(ready))
            if block:
                self._mine.queue = item.message.queue_name
                self._at_work[self._mine.queue] += 1
            return item

    def task_done(self) -> None:
        """The calling thread is free again."""
        with self.mutex:
            if (name := getattr(self._mine, "queue", None)) is not None:
                self._at_work[name] -= 1
                self._mine.queue = None
                self.not_empty.notify()
        super().task_done()

    def close(self, give_back: GiveBack) -> None:
        """Begin nothing more: what waits goes back now, and what still comes goes back as it comes."""
        with self.mutex:
            waiting, self.queue, self._give_back = self.queue, [], give_back
            self.unfinished_tasks -= len(waiting)
        give_back([item.message for item in sorted(waiting)])

    def _may_begin(self, item: Any) -> bool:
        kept = sum(not self._at_work[name] for name in self._queues - {item.message.queue_name})
        return self._threads - self._at_work.total() > kept

    def _remove(self, item: Any) -> Any:
        if self.queue[0] is item:
            return heappop(self.queue)
        self.queue.remove(item)
        heapify(self.queue)
        return item
