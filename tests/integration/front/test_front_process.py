"""The front end as a process, with Redis failing around it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from paywindow.embedded import EmbeddedRedis

SERVE = """
import os, sys
from pathlib import Path
from paywindow.front import serve
from paywindow.settings import Role, Settings
if os.environ.get("LISTEN_FDS"):
    os.environ["LISTEN_PID"] = str(os.getpid())  # as a supervisor writes it between fork and exec
serve(Settings.load(Role.FRONT), port_file=Path(sys.argv[1]))
"""


async def until(condition: Any) -> None:
    """Look at a condition, an async function, until it holds."""
    while not await condition():  # noqa: ASYNC110 - Redis and other processes cannot set an event of ours
        await asyncio.sleep(0.02)


def start_front(environment: dict[str, str], port_file: Path, **more: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SERVE, str(port_file)], env=environment, **more)


@pytest.fixture
def process(front_environment: dict[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**front_environment, "FRONT_PORT": "0", "PATH": os.defpath}
    with start_front(environment, tmp_path / "port") as running:
        yield running
        running.kill()


async def port_of(process: "subprocess.Popen[bytes]", file: Path) -> int:
    """The port that the process listens on, once it does."""

    async def written() -> bool:
        assert process.poll() is None, "the process ended"
        return await asyncio.to_thread(file.exists)

    await until(written)
    return int(await asyncio.to_thread(file.read_text))


async def test_on_sigterm_waiting_commands_are_answered_and_the_process_ends_well(
    process: "subprocess.Popen[bytes]", workers: Any, shop: dict[str, str], order: Any, tmp_path: Path
) -> None:
    # Given: a create that waits for workers
    url = f"http://127.0.0.1:{await port_of(process, tmp_path / 'port')}/payments/checkout/create"
    async with aiohttp.ClientSession() as client:
        waiting = asyncio.create_task(client.post(url, json=order, headers=shop))
        await workers.take("checkout.create")
        # When: the process is told to end
        process.send_signal(signal.SIGTERM)
        # Then: the caller learns where the outcome will be, and the exit code is 0
        assert (await waiting).status == 202
    assert await asyncio.to_thread(process.wait) == 0


async def test_a_process_that_is_to_end_says_so_and_answers_until_the_balancer_has_noticed(
    front_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**front_environment, "FRONT_PORT": "0", "FRONT_DRAIN_SECONDS": "300", "PATH": os.defpath}
    with start_front(environment, tmp_path / "port") as process:
        url = f"http://127.0.0.1:{await port_of(process, tmp_path / 'port')}"
        async with aiohttp.ClientSession() as client:

            async def checks() -> Any:
                return (await (await client.get(f"{url}/readyz")).json())["checks"]

            async def leaving() -> bool:
                return not (await checks())["staying"]

            assert (await client.get(f"{url}/healthz")).headers.get("Connection") != "close"
            process.send_signal(signal.SIGTERM)
            await until(leaving)
            readiness = await client.get(f"{url}/readyz")
            assert (readiness.status, (await checks())["broker"]) == (503, True)
            # New connections are taken, and each answer asks for another one next time.
            answer = await client.get(f"{url}/healthz")
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        process.kill()


async def test_while_one_process_follows_another_on_a_shared_socket_no_request_fails(
    front_environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as shared:
        url = "http://{}:{}/healthz".format(*shared.getsockname())
        environment = {**front_environment, "LISTEN_FDS": "1", "PATH": os.defpath}

        def start(name: str) -> "subprocess.Popen[bytes]":
            # 3 is the descriptor that the protocol names.
            inherit = {"pass_fds": [3], "preexec_fn": lambda: os.dup2(shared.fileno(), 3)}
            return start_front(environment, tmp_path / name, **inherit)

        answered, stop = [], asyncio.Event()

        async def ask() -> None:
            # Each request on a connection of its own, one right after the other.
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client:
                while not stop.is_set():
                    answered.append((await client.get(url)).status)

        first = start("first")
        await port_of(first, tmp_path / "first")
        load = [asyncio.create_task(ask()) for _ in range(2)]
        second = start("second")
        await port_of(second, tmp_path / "second")
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait) == 0
        until_then = len(answered)

        async def goes_on() -> bool:
            return len(answered) > until_then + 20

        await until(goes_on)
        stop.set()
        await asyncio.gather(*load)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait) == 0
    assert set(answered) == {200}


async def test_readiness_follows_redis_and_health_does_not(front: Any, redis_server: EmbeddedRedis) -> None:
    async def ready() -> bool:
        return bool((await front.get("/readyz")).status == 200)

    async def unready() -> bool:
        return not await ready()

    await until(ready)
    redis_server.stop()
    await until(unready)
    response = await front.get("/readyz")
    assert (response.status, response.content_type) == (503, "application/json")
    assert (await front.get("/healthz")).status == 200
    redis_server.start()
    await until(ready)


async def test_a_waiting_command_survives_a_restart_of_redis(
    front: Any, workers: Any, shop: dict[str, str], order: Any, redis_server: EmbeddedRedis
) -> None:
    # Given: a create that waits
    waiting = asyncio.create_task(front.post("/payments/checkout/create", json=order, headers=shop))
    message = await workers.take("checkout.create")
    # When: Redis restarts, and the outcome is published
    redis_server.stop()
    redis_server.start()
    workers.answer(message, 201, {"paymentSession": {"id": "x"}})
    # Then: it is found
    assert (await waiting).status == 201


async def test_without_redis_reads_and_commands_are_unavailable(
    front: Any, shop: dict[str, str], order: Any, redis_server: EmbeddedRedis
) -> None:
    redis_server.stop()
    responses = [
        await front.post("/payments/checkout/create", json=order, headers=shop),
        await front.get(f"/payments/checkout/{uuid.uuid4()}/status", headers=shop),
        await front.get(f"/payments/operations/{uuid.uuid4()}", headers=shop),
    ]
    for response in responses:
        assert (response.status, json.loads(await response.text())["code"]) == (503, "unavailable")
        assert "Retry-After" in response.headers


async def test_the_openapi_document_is_public(front: Any) -> None:
    response = await front.get("/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    assert (await response.json())["openapi"] == "3.1.0"
