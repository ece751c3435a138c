"""A deployment under load: each process is followed by another, one after the other, and nobody notices."""

import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from paywindow.embedded.ports import LOOPBACK, free_port
from paywindow.embedded.processes import Supervised, spawn
from paywindow.embedded.stack import WORKERS
from paywindow.messages import ROLES

# What a supervisor does between fork and exec: the socket becomes descriptor 3, and the process is told so.
INHERIT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "paywindow.cli", "front"])
"""
PACE_SECONDS = 0.4


class Load:
    """Marketplaces and buyers who go on buying until they are told to stop."""

    def __init__(self, shop: Any, buyers: int) -> None:
        self._shop = shop
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._buy) for _ in range(buyers)]
        self.answers: list[Any] = []
        self.paid: list[dict[str, Any]] = []
        self.errors: list[BaseException] = []
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _buy(self) -> None:
        while not self._stop.wait(PACE_SECONDS):
            try:
                answer = self._shop.create(key=str(uuid.uuid4()))
                self.answers.append(answer)
                if answer.status_code == 201:
                    self._shop.pay(answer.json())
                    self.paid.append(answer.json())
            except Exception as error:  # told by the test
                self.errors.append(error)


class Fronts:
    """Front ends on one socket, in the place of the installation's."""

    def __init__(self, shop: Any) -> None:
        self._stack = shop.stack
        self._stack.processes["front"].stop()
        self._socket = socket.create_server((LOOPBACK, int(self._stack.environment["FRONT_PORT"])), backlog=128)
        self._count = 0

    def start(self, until: Any) -> Supervised:
        """Start another one; it takes connections."""
        self._count += 1
        number = self._socket.fileno()
        front = spawn(
            [sys.executable, "-c", INHERIT, str(number)],
            env={**self._stack.environment, "METRICS_PORT": str(free_port())},
            log_path=self._stack.folder / "logs" / f"front-{self._count}.log",
            pass_fds=[number],
        )
        until(lambda: "listening on" in front.log_tail(), "the front end to listen")
        self._stack.processes["front"] = front
        return front

    def close(self) -> None:
        self._stack.processes["front"].stop()
        self._socket.close()


@pytest.fixture
def fronts(shop: Any) -> Iterator[Fronts]:
    made = Fronts(shop)
    yield made
    made.close()


def brokers(client: Any) -> set[str]:
    """The worker processes that ever gave a sign of life to the queue."""
    return {name.decode() for name in client.zrange("dramatiq:__heartbeats__", 0, -1)}


def fetched_by(client: Any, role: str) -> set[str]:
    """The worker processes that have unfinished messages of a role's queues."""
    keys = [key.decode().removeprefix("dramatiq:__acks__.") for key in client.keys("dramatiq:__acks__.*")]
    owners = [key.partition(".") for key in keys]
    return {owner for owner, _, queue in owners if queue.removesuffix(".DQ") in ROLES[role]}


def follow(shop: Any, until: Any, role: str) -> None:
    """Start another worker of a role, then end the one that runs."""
    name, client = f"worker-{role}", shop.redis_client()
    old, before = shop.stack.processes[name], brokers(client)
    new = shop.stack.start(name, known_as=f"{name}-next")
    until(lambda: "ready for action" in new.log_tail(), f"the other {name} to be ready")
    until(lambda: brokers(client) - before, f"the other {name} to ask for work")
    assert old.stop(timeout=60) == 0
    # What it had not finished is nobody's to wait for: it is in the queue, or the other one has it.
    assert fetched_by(client, role) <= brokers(client) - before
    shop.stack.processes[name] = shop.stack.processes.pop(f"{name}-next")


def test_a_rolling_restart_under_load_loses_and_delays_nothing(shop: Any, until: Any, fronts: Fronts) -> None:
    first = fronts.start(until)
    load = Load(shop, buyers=2)
    try:
        for role in WORKERS:
            follow(shop, until, role)
        old, new = shop.stack.processes["scheduler"], shop.stack.start("scheduler", known_as="scheduler-next")
        assert old.stop() == 0
        shop.stack.processes["scheduler"] = shop.stack.processes.pop("scheduler-next")
        assert new.running
        fronts.start(until)
        assert first.stop(timeout=60) == 0
        so_far = len(load.paid)
        until(lambda: len(load.paid) > so_far, "a purchase after it all")
    finally:
        load.stop()

    assert load.errors == []
    assert {answer.status_code for answer in load.answers} <= {201, 202}
    for answer in load.answers:
        if answer.status_code == 202:
            location = answer.headers["Location"]
            until(lambda location=location: shop.call("GET", location).status_code == 201, "the create to be done")
    for created in load.paid:
        shop.await_receipt(created)
        shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()
    client = shop.redis_client()
    assert sum(client.zcard(key) for key in client.keys("dramatiq:*.XQ")) == 0
