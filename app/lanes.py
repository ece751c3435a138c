"""Bulkheads for calls to other systems: one that hangs keeps a few threads of a worker busy, never all of them."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Lanes:
    """``with lanes.enter("https://...") as free:``; at most ``width`` threads of this process are inside for one name."""

    def __init__(self, width: int):
        self._width = width
        self._inside: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    @contextmanager
    def enter(self, name: str) -> Iterator[bool]:
        """Go in, if there is room: false says that there is none, and that the caller should come back later."""
        with self._lock:
            free = self._inside[name] < self._width
            self._inside[name] += free
        try:
            yield free
        finally:
            with self._lock:
                self._inside[name] -= free
