"""The business clock of a run, moved by faults, purchases and the settling alike."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from paywindow import clock


class Clock:
    """Moves the clock file that every process of the installation and the sandbox read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._moving = threading.Lock()
        self._offset = timedelta()

    def reset(self) -> None:
        """Back to real time: only while nothing that was written by the moved clock is left."""
        with self._moving:
            self._offset = timedelta()
            clock.set_offset(self._file, self._offset)

    def jump(self, by: timedelta) -> None:
        """Move it; a negative ``by`` is the step that a wall clock makes when it is corrected."""
        with self._moving:
            self._offset += by
            clock.set_offset(self._file, self._offset)

    def now(self) -> datetime:
        """Business time."""
        return datetime.now(UTC) + self._offset
