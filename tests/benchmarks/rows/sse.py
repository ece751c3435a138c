"""``sse``: event streams that one front process holds open, what each costs, and how soon all readers know of a change."""

import resource
import select
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import redis
from benchmarks.cpu import memory_bytes
from benchmarks.fronts import Fronts, Server, fronts, get
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.snapshots import a_snapshot, of, publish, state_url

from paywindow.embedded.ports import LOOPBACK
from paywindow.published import Publisher

_STREAMS = 10_000
_READERS = 5
_CHANGES_PER_SECOND = 1_000
_CHANGES = 10_000
_PATIENCE_SECONDS = 60.0
_READ_BYTES = 65_536


@benchmark("sse")
def sse(bench: Bench) -> Iterator[Figure]:
    """As many streams, of sessions with five readers each; then the sessions change, one after the other."""
    streams, changes = bench.sized(_STREAMS), bench.sized(_CHANGES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with fronts(bench) as servers:
        floor = _floor(servers, streams)
        server = servers.ours(FRONT_MAX_STREAMS=str(2 * _STREAMS))
        known = publish(bench, servers, -(-streams // _READERS))
        before = memory_bytes(server.process.pid)
        readers = _Readers(bench, server, known, streams)
        each = (memory_bytes(server.process.pid) - before) / streams
        delays = _change(bench, readers, state_url(servers.environment), known, changes)
        readers.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    note = f"open at once; {len(known)} sessions, {_READERS} readers each"
    yield Figure("sse", streams, "streams", aim=Aim("value", "at least", streams), note=note)
    yield Figure(
        "sse_memory", each / 1000, "kB", aim=Aim("value", "at most", 20), note="of the front process, each stream"
    )
    yield Figure("sse_memory_floor", floor / 1000, "kB", note="of aiohttp alone: a stream that is open and silent")
    note = f"p99 from a change to its last reader, {_CHANGES_PER_SECOND} changes/s"
    yield Figure("sse_delay", percentile(delays, 99) * 1000, "ms", note=note)
    yield Figure("sse_delay_p50", percentile(delays, 50) * 1000, "ms", note="half of them")


def _floor(servers: Fronts, count: int) -> float:
    """Bytes that a stream takes of which nobody knows whose it is."""
    server = servers.baseline("floor")
    before = memory_bytes(server.process.pid)
    with ExitStack() as opened:
        for _ in range(count):
            connection = opened.enter_context(closing(socket.create_connection((LOOPBACK, server.port))))
            connection.sendall(get("/stream"))
            assert connection.recv(_READ_BYTES).startswith(b"HTTP/1.1 200 ")
        return (memory_bytes(server.process.pid) - before) / count


class _Readers:
    """Open streams, each of which has had its first event."""

    def __init__(self, bench: Bench, server: Server, known: list[uuid.UUID], count: int) -> None:
        self._sessions: dict[int, uuid.UUID] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        task = bench.progress.add_task("sse: opening streams", total=count)
        authorization = [f"Authorization: Bearer {bench.installation.stack.service_key}"]
        for number in range(count):
            session_id = known[number // _READERS]
            connection = socket.create_connection((LOOPBACK, server.port))
            connection.sendall(get(f"/payments/checkout/{session_id}/events", authorization))
            greeting = b""
            while b"event: window" not in greeting:
                greeting += connection.recv(_READ_BYTES)
                assert greeting.startswith(b"HTTP/1.1 200 "), greeting
            self._sockets[connection.fileno()] = connection
            self._sessions[connection.fileno()] = session_id
            self._poll.register(connection, select.EPOLLIN)
            bench.progress.advance(task)
        bench.progress.remove_task(task)
        self.followers = Counter(self._sessions.values())

    def told(self, timeout: float) -> list[uuid.UUID]:
        """The sessions of those who are told of a change now."""
        found = []
        for descriptor, _ in self._poll.poll(timeout):
            text = self._sockets[descriptor].recv(_READ_BYTES)
            assert text, "a stream ended"
            # One that only says how much time is left is a sign of life.
            if b"event: status" in text:
                found.append(self._sessions[descriptor])
        return found

    def close(self) -> None:
        """End all streams."""
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()


def _change(bench: Bench, readers: _Readers, url: str, known: list[uuid.UUID], changes: int) -> list[float]:
    """Publish changes at a steady pace; the seconds each took until its last reader had it."""
    original, snapshot = a_snapshot(bench)
    task = bench.progress.add_task("sse: changing sessions", total=changes)
    waiting: dict[uuid.UUID, tuple[float, int]] = {}
    delays: list[float] = []
    with redis.Redis.from_url(url) as state:
        publisher, began, sent = Publisher(state), time.perf_counter(), 0
        while len(delays) < changes:
            now = time.perf_counter()
            due = min(changes, int((now - began) * _CHANGES_PER_SECOND) + 1)
            while sent < due:
                session_id = known[sent % len(known)]
                if session_id in waiting:
                    break  # its last change is still on its way; two at once would be told as one
                publisher.session(session_id, of(snapshot, original, session_id, newer=1 + sent // len(known)))
                waiting[session_id] = (time.perf_counter(), readers.followers[session_id])
                sent += 1
            for session_id in readers.told(0.001):
                at, left = waiting.get(session_id, (0.0, 0))
                if left > 1:
                    waiting[session_id] = (at, left - 1)
                elif left == 1:
                    delays.append(time.perf_counter() - waiting.pop(session_id)[0])
                    bench.progress.advance(task)
            if now - began > changes / _CHANGES_PER_SECOND + _PATIENCE_SECONDS:
                raise TimeoutError(f"{len(waiting)} changes were not told to all of their readers")
    bench.progress.remove_task(task)
    return delays
