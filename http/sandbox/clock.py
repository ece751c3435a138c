"""Business time: real time plus the offset that the clock file holds.

Every process of a test stack reads the same file, so that deadlines move together. Signatures, tokens and rate limits
stay on real time.
"""

import os
import time
from pathlib import Path

CLOCK_FILE_VARIABLE = "PAYWINDOW_CLOCK_FILE"


def clock_file_from_environment() -> Path | None:
    """The clock file named by ``PAYWINDOW_CLOCK_FILE``, if any."""
    name = os.environ.get(CLOCK_FILE_VARIABLE)
    return Path(name) if name else None


class Clock:
    """Seconds since the epoch, moved by a file that holds an offset in seconds."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._offset = 0.0

    def now(self) -> int:
        """Business time in whole seconds, Stripe's resolution.

        Raises ValueError when the file holds something that is not a number.
        """
        return int(time.time() + self.offset())

    def offset(self) -> float:
        """The offset in force, in seconds; 0 while there is no file."""
        if self._file is None:
            return 0.0
        try:
            text = self._file.read_text().strip()
        except FileNotFoundError:
            return 0.0
        # Empty means a writer has truncated the file and not yet written: time must not jump back meanwhile.
        if text:
            self._offset = float(text)
        return self._offset
