"""In place of systemd or Compose: brings back each of our processes that has ended, whatever ended it."""

import threading
import time
from collections import Counter

from paywindow.embedded.stack import Stack

#: The pause before a restart: that of systemd's ``RestartSec`` by default.
_PAUSE_SECONDS = 0.1
_LOOK_SECONDS = 0.05


class Supervisor:
    """Watches a stack from a thread. ``restarts``: how often it brought back what."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        #: Held by whoever stops a process on purpose.
        self.hands_off = threading.Lock()
        self.restarts: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what ends from now on stays down."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            with self.hands_off:
                for name, process in list(self._stack.processes.items()):
                    if not process.running:
                        time.sleep(_PAUSE_SECONDS)
                        self._stack.start(name)
                        self.restarts[name] += 1
