"""What the embedded servers have in common: a locked folder, a port, a start with retries, an end.

The lock file's descriptor is inherited by the server, so the folder stays locked until the server itself is gone, also
when our own process was killed and the server is still writing its last checkpoint.
"""

import fcntl
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from paywindow.embedded.errors import EmbeddedError
from paywindow.embedded.ports import free_port
from paywindow.embedded.processes import Supervised

START_TIMEOUT_SECONDS = 60.0
# A predecessor whose owner was killed needs a moment for its last checkpoint.
_LOCK_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 5
_POLL_SECONDS = 0.02


class EmbeddedServer(ABC):
    """A server in a folder. A context manager: started on entry, stopped on exit."""

    #: For messages and the log file's name.
    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log_path = self.folder / f"{self.name}.log"
        self._child: Supervised | None = None
        self._port = 0
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """Where the server answers. Raises EmbeddedError when it does not run."""
        self._running_child()
        return self._url(self._port)

    @property
    def port(self) -> int:
        """The loopback port: the one of the last start if it is still free. Raises EmbeddedError when not running."""
        self._running_child()
        return self._port

    @property
    def pid(self) -> int:
        """Raises EmbeddedError when the server does not run."""
        return self._running_child().pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> str:
        """Start the server on what the folder holds, wait until it answers, return its URL.

        Returns the URL at once when it runs already. Raises EmbeddedError when it does not come up or when another
        process uses the folder, EmbeddedUnavailableError when its wheel is missing.
        """
        if self.running:
            return self.url
        self._forget()  # it may have died by itself
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_folder(time.monotonic() + _LOCK_TIMEOUT_SECONDS)
        try:
            self._prepare()
            self._launch(time.monotonic() + START_TIMEOUT_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server in good order; its data stay in the folder. Nothing happens when it does not run."""
        if self._child is not None:
            self._child.stop()
        self._forget()

    def kill(self) -> None:
        """End the server as a crash would, by SIGKILL. `start()` brings it back on the same data."""
        if self._child is not None:
            self._child.kill()
        self._forget()

    def restart(self) -> str:
        """Stop and start; return the URL, the same unless somebody took the port meanwhile."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self) -> None:
        """Whatever the folder needs before the server can start in it."""

    @abstractmethod
    def _spawn(self, port: int, lock: int) -> Supervised:
        """Start the server on `port`, with the descriptor `lock` inherited."""

    @abstractmethod
    def _answers(self, port: int, pid: int) -> bool:
        """Whether the server with this pid, not some other on the same port, takes queries."""

    @abstractmethod
    def _url(self, port: int) -> str: ...

    def _running_child(self) -> Supervised:
        if self._child is None or not self._child.running:
            raise EmbeddedError(f"{self.name} in {self.folder} is not running")
        return self._child

    def _launch(self, deadline: float) -> None:
        """Try a few ports: another process may take a free one first, or a killed predecessor's memory be in use."""
        for attempt in range(_ATTEMPTS):
            # After a crash or a restart, clients that only know the URL find the server again.
            self._port = self._port if attempt == 0 and self._port else free_port()
            self._child = self._spawn(self._port, self._locked())
            if self._wait_until_ready(self._child, deadline):
                return
        tail = self._child.log_tail() if self._child is not None else ""
        raise EmbeddedError(f"{self.name} in {self.folder} did not start; its log ends:\n{tail}")

    def _wait_until_ready(self, child: Supervised, deadline: float) -> bool:
        while child.running:
            if self._answers(self._port, child.pid):
                return True
            if time.monotonic() > deadline:
                child.stop()
                return False
            time.sleep(_POLL_SECONDS)
        return False

    def _locked(self) -> int:
        if self._lock is None:
            raise EmbeddedError(f"{self.folder} is not locked")
        return self._lock

    def _lock_folder(self, deadline: float) -> None:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise EmbeddedError(f"{self.folder} is in use by another running {self.name}") from None
                time.sleep(_POLL_SECONDS)
            else:
                self._lock = descriptor
                return

    def _forget(self) -> None:
        self._child = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
