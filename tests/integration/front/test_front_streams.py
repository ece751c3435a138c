"""``GET .../events`` over real Redis: order of versions, coming back, slow readers, and who may read."""

import asyncio
import gc
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from paywindow.embedded import EmbeddedRedis
from paywindow.front import streams
from paywindow.front.context import FRONT
from paywindow.front.metrics import STREAMS, STREAMS_ENDED
from paywindow.front.snapshots import View

RECEIPT = {"id": str(uuid.uuid4()), "number": "R-2026-000001", "ready": True, "downloadUrl": "x"}


@dataclass
class Event:
    """One server-sent event."""

    name: str
    id: str | None
    data: Any


class Reader:
    """Reads a stream as an ``EventSource`` would."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.reconnect_ms: int | None = None

    async def next(self, *names: str) -> Event | None:
        """The next event with one of these names (any without); ``None`` at the end of the stream."""
        fields: dict[str, str] = {}
        async for raw in self.response.content:
            line = raw.decode().rstrip("\n")
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "retry" in fields:
                self.reconnect_ms = int(fields.pop("retry"))
            event = fields.get("event")
            if event is not None and (not names or event in names):
                return Event(event, fields.get("id"), json.loads(fields["data"]))
            fields = {}
        return None


@asynccontextmanager
async def reading(front: Any, session_id: uuid.UUID, headers: dict[str, str]) -> AsyncIterator[Reader]:
    async with front.get(f"/payments/checkout/{session_id}/events", headers=headers) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - buffers and counters cannot set an event of ours
        await asyncio.sleep(0.005)


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


def ended(reason: str) -> float:
    value: float = STREAMS_ENDED.labels(reason)._value.get()
    return value


def open_streams() -> float:
    value: float = STREAMS._value.get()
    return value


def ask_for_events(connection: socket.socket, session_id: uuid.UUID, headers: dict[str, str]) -> None:
    """Open a stream on a connection that nobody reads."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    request = f"GET /payments/checkout/{session_id}/events HTTP/1.1\r\nHost: x\r\n"
    connection.sendall(f"{request}Authorization: {headers['Authorization']}\r\n\r\n".encode())


def newest(follower: Any) -> int:
    """The version that a follower was last offered, taken or not."""
    version, _ = follower._seen if follower._newest is None else follower._newest.stamp
    return int(version)


async def test_a_stream_begins_with_the_state_and_brings_each_change_in_order(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=3))
    async with reading(front, session_id, shop) as reader:
        assert reader.response.content_type == "text/event-stream"
        assert reader.response.headers["Cache-Control"] == "no-store"
        first = await reader.next()
        assert first is not None
        assert (first.name, first.id, first.data["paymentSession"]["status"]) == ("status", "3-service", "pending")
        assert reader.reconnect_ms is not None
        window = await reader.next()
        assert window is not None
        assert (window.name, window.data["closing"]) == ("window", False)
        for version, status in ((4, "failed"), (5, "pending"), (9, "processing")):
            workers.publish.session(session_id, snapshot(session_id, version=version, status=status))
            event = await reader.next("status")
            assert event is not None
            assert (event.id, event.data["paymentSession"]["status"]) == (f"{version}-service", status)


async def test_the_document_is_the_one_that_the_status_answers_to_the_same_caller(
    front: Any, workers: Any, snapshot: Any, shop: Any, token: Any, bearer: Any, session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    for headers in (shop, bearer(token(session_id))):
        answer = await front.get(f"/payments/checkout/{session_id}/status", headers=headers)
        async with reading(front, session_id, headers) as reader:
            event = await reader.next()
            assert event is not None
            assert (event.data, f'"{event.id}"') == (await answer.json(), answer.headers["ETag"])


async def test_repeated_and_older_publications_are_not_told(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=3))
    async with reading(front, session_id, shop) as reader:
        await reader.next("status")
        workers.publish.session(session_id, snapshot(session_id, version=3))
        workers.publish.session(session_id, snapshot(session_id, version=2, status="failed"))
        workers.publish.session(session_id, snapshot(session_id, version=4))
        event = await reader.next("status")
        assert event is not None
        assert event.id == "4-service"


async def test_who_comes_back_is_told_only_what_is_new(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=3))
    async with reading(front, session_id, {**shop, "Last-Event-ID": "3-service"}) as reader:
        greeting = await reader.next()
        assert greeting is not None
        assert greeting.name == "window"  # a sign of life, and no state
        workers.publish.session(session_id, snapshot(session_id, version=4))
        event = await reader.next("status")
        assert event is not None
        assert event.id == "4-service"
    async with reading(front, session_id, {**shop, "Last-Event-ID": "3-service"}) as reader:
        missed = await reader.next()
        assert missed is not None
        assert missed.id == "4-service"


async def test_a_paid_session_with_its_receipt_ends_the_stream_for_good(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=3, status="completed"))
    before = ended("final")
    async with reading(front, session_id, shop) as reader:
        await reader.next("status")
        workers.publish.session(session_id, snapshot(session_id, version=4, status="completed", receipt=RECEIPT))
        names = []
        while (event := await reader.next("status", "end")) is not None:
            names.append(event.name)
        assert names == ["status", "end"]
    assert ended("final") == before + 1
    # And: a browser that comes back all the same is told not to.
    again = await front.get(f"/payments/checkout/{session_id}/events", headers={**shop, "Last-Event-ID": "4-service"})
    assert again.status == 204


async def test_the_end_of_the_window_is_told_though_nothing_is_published(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    soon = int(time.time() * 1000) + 300
    workers.publish.session(session_id, snapshot(session_id, version=3, expires_ms=soon, closes_ms=soon))
    async with reading(front, session_id, shop) as reader:
        first, closing = await reader.next("status"), await reader.next("status")
        assert first is not None
        assert closing is not None
        assert (first.data["paymentSession"]["closing"], closing.data["paymentSession"]["closing"]) == (False, True)
        assert closing.id == "3-service-closing"


async def test_silence_is_broken_by_the_time_that_is_left(
    front: Any, workers: Any, snapshot: Any, shop: Any, session_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.02)
    later = int(time.time() * 1000) + 3_600_000
    workers.publish.session(session_id, snapshot(session_id, expires_ms=later, closes_ms=later))
    async with reading(front, session_id, shop) as reader:
        for _ in range(3):
            event = await reader.next()
            while event is not None and event.name != "window":
                event = await reader.next()
            assert event is not None
            assert 3_500_000 < event.data["remainingMs"] <= 3_600_000


async def test_a_stream_outlives_a_restart_of_redis(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID, redis_server: EmbeddedRedis
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=3))
    async with reading(front, session_id, shop) as reader:
        await reader.next("status")
        redis_server.stop()
        redis_server.start()
        workers.publish.session(session_id, snapshot(session_id, version=4))
        event = await reader.next("status")
        assert event is not None
        assert event.id == "4-service"


async def test_a_slow_reader_is_spared_the_versions_in_between_and_costs_little(
    front: Any, workers: Any, snapshot: Any, shop: Any, session_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_CATCH_UP_SECONDS", 0.01)

    # Given: a reader who does not read, and changes of 50 kB each
    def change(version: int) -> Any:
        return snapshot(session_id, version=version, description="x" * 50_000)

    workers.publish.session(session_id, change(1))
    with socket.create_connection((front.host, front.port)) as connection:
        ask_for_events(connection, session_id, shop)
        feed = front.app[FRONT].feed
        await until(lambda: session_id in feed._topics)
        (follower,) = feed._topics[session_id].followers
        # When: far more is published than all buffers hold
        last = 200
        for version in range(2, last + 1):
            workers.publish.session(session_id, change(version))
            await until(lambda version=version: newest(follower) >= version)
        # Then: what waits for the reader in this process is one change and a bounded backlog
        backlogs = [each.transport.get_write_buffer_size() for each in front.server.handler.connections]
        assert max(backlogs) < 100_000
        # And: once it reads, it gets fewer changes than there were, in order, the last one last
        connection.setblocking(False)
        text = b""
        while f"id: {last}-service".encode() not in text:
            text += await asyncio.get_running_loop().sock_recv(connection, 1 << 20)
    versions = [int(line[4:].split(b"-")[0]) for line in text.split(b"\n") if line.startswith(b"id: ")]
    assert versions == sorted(set(versions))
    assert versions[-1] == last
    assert len(versions) < last


async def test_a_reader_who_never_reads_is_let_go(
    front: Any, workers: Any, snapshot: Any, shop: Any, session_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_SLOW_SECONDS", 0.2)
    monkeypatch.setattr(streams, "_CATCH_UP_SECONDS", 0.05)
    before = ended("slow")
    workers.publish.session(session_id, snapshot(session_id, version=1))
    with socket.create_connection((front.host, front.port)) as connection:
        ask_for_events(connection, session_id, shop)
        await until(lambda: open_streams() > 0)
        version = 1
        while ended("slow") == before:
            version += 1
            workers.publish.session(session_id, snapshot(session_id, version=version, description="x" * 50_000))
            await asyncio.sleep(0.002)
        await until(lambda: open_streams() == 0)


async def test_a_stream_that_waits_keeps_no_texts(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    def with_texts() -> list[View]:
        return [each for each in gc.get_objects() if isinstance(each, View) and str(session_id) in each.service]

    workers.publish.session(session_id, snapshot(session_id, version=1))
    async with reading(front, session_id, shop) as reader:
        await reader.next("window")
        await until(lambda: not with_texts())
        workers.publish.session(session_id, snapshot(session_id, version=2))
        assert await reader.next("status")
        await until(lambda: not with_texts())


async def test_who_leaves_is_forgotten(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    before = ended("gone")
    async with reading(front, session_id, shop) as reader:
        await reader.next()
        assert open_streams() == 1
    version = 1
    while ended("gone") == before:
        version += 1
        workers.publish.session(session_id, snapshot(session_id, version=version))
        await asyncio.sleep(0.01)
    assert open_streams() == 0
    await until(lambda: not front.app[FRONT].feed._topics)


async def test_many_streams_hear_of_one_change(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=1))

    async def follow(opened: asyncio.Barrier) -> str | None:
        async with reading(front, session_id, shop) as reader:
            await reader.next("status")
            await opened.wait()
            event = await reader.next("status")
            return event and event.id

    opened = asyncio.Barrier(41)
    readers = [asyncio.create_task(follow(opened)) for _ in range(40)]
    await opened.wait()
    workers.publish.session(session_id, snapshot(session_id, version=2))
    assert await asyncio.gather(*readers) == ["2-service"] * 40


async def test_too_many_streams_are_refused_with_503(
    make_front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    front = await make_front(FRONT_MAX_STREAMS="1")
    workers.publish.session(session_id, snapshot(session_id))
    async with reading(front, session_id, shop) as reader:
        await reader.next()
        refused = await front.get(f"/payments/checkout/{session_id}/events", headers=shop)
        assert (refused.status, (await refused.json())["code"]) == (503, "unavailable")
        assert "Retry-After" in refused.headers


async def test_the_end_of_the_process_ends_streams_and_lets_the_reader_come_back(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    before = ended("stopping")
    async with reading(front, session_id, shop) as reader:
        await reader.next("window")
        front.app[FRONT].waiter.release()
        assert await reader.next() is None  # no "end": another process will answer
    assert ended("stopping") == before + 1


async def test_a_buyer_whose_link_ends_meanwhile_is_let_go(
    front: Any, workers: Any, snapshot: Any, token: Any, bearer: Any, session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=1))
    before = ended("token")
    async with reading(front, session_id, bearer(token(session_id))) as reader:
        await reader.next("window")
        workers.publish.session(session_id, snapshot(session_id, version=2, expires_ms=1000))
        assert await reader.next() is None
    assert ended("token") == before + 1


async def test_only_the_key_with_the_scope_or_this_sessions_token_opens_a_stream(
    front: Any, workers: Any, snapshot: Any, token: Any, bearer: Any, session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id, expires_ms=1000))
    address = f"/payments/checkout/{session_id}/events"
    for headers, status in (
        ({}, 401),
        (bearer("pwk_unknown"), 401),
        (bearer("pwk_admin-only"), 403),
        (bearer(token(uuid.uuid4())), 401),
        (bearer(token(session_id)), 401),  # good once, but its time is over
    ):
        assert (await front.get(address, headers=headers)).status == status
    assert (await front.get("/payments/checkout/nothing/events", headers=bearer("pwk_read-only"))).status == 404
    workers.publish.unknown_session(unknown := uuid.uuid4())
    answer = await front.get(f"/payments/checkout/{unknown}/events", headers=bearer("pwk_read-only"))
    assert answer.status == 404
    assert (await front.head(address, headers=bearer("pwk_read-only"))).status == 405
