"""The crowd: a pool of client threads that carries many purchases through, none of them waiting on a thread's time."""

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.market import Steps

_LOOK_SECONDS = 0.03
#: Another purchase begins after this time, however many wait: a fault may hold all of them back.
_IMPATIENCE_SECONDS = 0.4


@dataclass(eq=False)
class _Story:
    name: str
    steps: Steps[None]
    ready: Callable[[], bool] = lambda: True
    begun: bool = False


class Crowd:
    """Begins the stories in their order, and goes on with each whenever what it waits for has come.

    ``begun``: how many have begun, which is what faults are timed by. ``broken``: stories that raised, with why.
    """

    def __init__(self, stories: Sequence[tuple[str, Steps[None]]], threads: int) -> None:
        self._fresh = deque(_Story(name, steps) for name, steps in stories)
        self._waiting: list[_Story] = []
        self._running: list[_Story] = []
        self._changing = threading.Lock()
        self._runnable: queue.Queue[_Story | None] = queue.Queue(1)
        self._stopping = threading.Event()
        self._last_begun = 0.0
        self.begun = 0
        self.broken: list[str] = []
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        self._usher = threading.Thread(target=self._hand_out, daemon=True)

    def start(self) -> None:
        """Open the doors."""
        for thread in (*self._workers, self._usher):
            thread.start()

    def stop(self) -> None:
        """Send everybody home, whatever they still wait for."""
        self._stopping.set()
        self._usher.join()
        for _ in self._workers:
            self._runnable.put(None)
        for thread in self._workers:
            thread.join()

    def all_begun(self) -> bool:
        """Whether every purchase has begun."""
        return not self._fresh

    def unfinished(self) -> list[str]:
        """The purchases that are not over."""
        with self._changing:
            return [story.name for story in (*self._running, *self._waiting, *self._fresh)]

    def busy(self) -> bool:
        """Whether any purchase is going on, or could, without anything else happening."""
        with self._changing:
            return bool(self._running or self._fresh) or any(story.ready() for story in self._waiting)

    def _hand_out(self) -> None:
        """Those who have waited long enough come before those who have not begun."""
        while not self._stopping.is_set():
            with self._changing:
                woken = [story for story in self._waiting if story.ready()]
                self._waiting = [story for story in self._waiting if story not in woken]
                self._running += woken
            for story in woken:
                self._runnable.put(story)
            if self._fresh and self._has_room():
                with self._changing:
                    story = self._fresh.popleft()
                    self._running.append(story)
                self._last_begun = time.monotonic()
                self._runnable.put(story)
            else:
                time.sleep(_LOOK_SECONDS)

    def _has_room(self) -> bool:
        """Whether another purchase may begin: as many as there are clients go on well at once, or it has been a while.

        Otherwise all would have begun, and all faults have fallen, before the first of them is settled.
        """
        with self._changing:
            under_way = len(self._running) + len(self._waiting)
        return under_way < len(self._workers) or time.monotonic() - self._last_begun > _IMPATIENCE_SECONDS

    def _work(self) -> None:
        while (story := self._runnable.get()) is not None:
            over = self._go_on(story)
            with self._changing:
                self._running.remove(story)
                if not over:
                    self._waiting.append(story)

    def _go_on(self, story: _Story) -> bool:
        """Take a story to its next wait; true when it is over."""
        with self._changing:
            self.begun += not story.begun
            story.begun = True
        try:
            story.ready = next(story.steps)
        except StopIteration:
            return True
        except Exception:
            self.broken.append(f"{story.name}: {traceback.format_exc(limit=-4)}")
            return True
        return False
