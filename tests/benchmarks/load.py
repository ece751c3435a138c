"""A load on an HTTP server: bytes that are ready go out, answers are counted. What asks must cost less than what answers."""

import re
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_PATIENCE_SECONDS = 30.0
_READ_BYTES = 65536


@dataclass(slots=True)
class Load:
    """What came of it: how long it took, and how long each answer did, in seconds, from when it was due to be asked for."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


def send(port: int, requests: Sequence[bytes], *, connections: int, per_second: float | None = None) -> Load:
    """Send every request once over keep-alive connections, each as soon as one is free, or at a steady pace.

    Raises :class:`AssertionError` for an answer other than 200, and :class:`TimeoutError` when there is none.
    """
    free = deque(_Connection(port) for _ in range(min(connections, len(requests))))
    found = _Sender(requests, free, per_second).run()
    for connection in free:
        connection.socket.close()
    return found


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.due = 0.0

    def answered(self) -> bool:
        """Read what is there; whether the answer is complete."""
        self.received += self.socket.recv(_READ_BYTES)
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return False
        length = _LENGTH.search(head + b"\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), self.received[:500]
        assert length is not None, head
        if len(body) < int(length[1]):
            return False
        self.received = b""
        return True


class _Sender:
    def __init__(self, requests: Sequence[bytes], free: deque[_Connection], per_second: float | None) -> None:
        self._requests, self._free = requests, free
        self._interval = None if per_second is None else 1 / per_second
        self._busy: dict[int, _Connection] = {}
        self._load = Load()
        self._sent = 0
        self._poll = select.epoll()
        for connection in free:
            self._poll.register(connection.socket, select.EPOLLIN)

    def run(self) -> Load:
        self._began = time.perf_counter()
        while len(self._load.latencies) < len(self._requests):
            wait = self._send_due()
            self._receive(_PATIENCE_SECONDS if wait is None else wait, expected=wait is None)
        self._load.seconds = time.perf_counter() - self._began
        self._poll.close()
        return self._load

    def _send_due(self) -> float | None:
        """Send what can be sent now; the seconds until the next is due, if that is what there is to wait for."""
        now = time.perf_counter()
        while self._free and self._sent < len(self._requests):
            due = now if self._interval is None else self._began + self._sent * self._interval
            if due > now:
                return due - now
            connection = self._free.popleft()
            connection.due = due
            connection.socket.sendall(self._requests[self._sent])
            self._busy[connection.socket.fileno()] = connection
            self._sent += 1
        return None

    def _receive(self, timeout: float, *, expected: bool) -> None:
        ready = self._poll.poll(timeout)
        if not ready and expected:
            raise TimeoutError(f"no answer within {timeout} s")
        for descriptor, _ in ready:
            connection = self._busy[descriptor]
            if connection.answered():
                self._load.latencies.append(time.perf_counter() - connection.due)
                del self._busy[descriptor]
                self._free.append(connection)
