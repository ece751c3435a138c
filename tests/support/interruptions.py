"""The ground of the generated tests: a shop whose clock stands still, and whose workers can be interrupted anywhere.

An actor comes to *points*: before a call to Stripe (``ask``), after its answer (``answer``), before a statement or a commit
(``statement``), before a message is sent (``send``). A :class:`Trap` at one of them kills the worker or lets something else
happen in between. Everything is real but the clock and the broker.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from dramatiq import Message
from stripe import HTTPClient

from paywindow import clock, messages
from paywindow.actors import runtime
from paywindow.broker import MAX_RETRIES
from paywindow.errors import Transient
from paywindow.models import database as db
from paywindow.sandbox.clock import Clock as SandboxClock

START = datetime(2026, 1, 31, 10, 30, 0, 250_000, tzinfo=UTC)
#: Runs to a seed of ``make courses``.
CHUNK = 100
#: Of these, how many are in every run of the tests.
A_FEW = 40
#: More messages than any course has follow from one another; beyond that they are going round in a circle.
ENDLESS = 1000


class Killed(BaseException):
    """SIGKILL: nothing of ours may catch it; the transaction rolls back, the message is not acknowledged."""


@dataclass
class Trap:
    """What an actor meets when it comes, for the ``after``-th time, to ``point``: its end (``None``), or something else."""

    point: str
    after: int
    between: Callable[[], None] | None


class Stage:
    """The shop, and everything about it that does not depend on what is played."""

    def __init__(self, shop: Any):
        self.shop = shop
        self.http = requests.Session()
        self.counts: Counter[str] = Counter()
        self.moment = START
        self.trap: Trap | None = None
        self.working = False
        self.told: set[str] = set()

    def clear(self) -> None:
        """Begin anew, but for the tables."""
        self.moment, self.trap, self.working = START, None, False
        self.told = set()
        self.shop.queue.messages.clear()
        self.shop.state.flushall()
        self.shop.control("reset")
        self.counts["runs"] += 1

    def now(self) -> datetime:
        """Business time."""
        return self.moment

    def pass_time(self, length: timedelta) -> None:
        """Time passes, at Stripe, too."""
        self.moment += length
        self.shop.control("expire-due")

    # Working, and being interrupted

    def run(self, message: Message[Any]) -> None:
        """Run a message as a worker does: killed, it is delivered again; failed, it is retried a few times."""
        if message.actor_name == "receipts.render":
            return  # a matter of its own, and slow
        before, self.working = self.working, True
        try:
            self.shop.run(message)
        except Killed:
            self.counts["kills"] += 1
            self.shop.queue.messages.append(message)
        except Transient:
            tries = message.options.get("retries", 0)
            if tries < MAX_RETRIES:
                self.shop.queue.messages.append(message.copy(options={"retries": tries + 1}))
        finally:
            self.working = before

    def at(self, point: str) -> None:
        """An actor has come to a point at which it can be interrupted."""
        trap = self.trap
        if not self.working or trap is None or trap.point != point:
            return
        trap.after -= 1
        if trap.after >= 0:
            return
        self.trap = None
        if trap.between is None:
            raise Killed
        self.counts["interruptions"] += 1
        self.working = False
        try:
            trap.between()
        finally:
            self.working = True

    def work(self) -> None:
        """All queued messages are worked on."""
        for _ in range(ENDLESS):
            if not self.shop.queue.messages:
                return
            self.run(self.shop.queue.messages.popleft())
        raise AssertionError("the queue does not run empty")

    def work_one(self, position: int) -> None:
        """Any one of the queued messages is worked on: order means nothing."""
        queue = self.shop.queue.messages
        if queue:
            queue.rotate(-(position % len(queue)))
            self.run(queue.popleft())

    def sweep(self, actor: str) -> None:
        """A sweep's turn comes."""
        self.run(messages.build(actor))

    def wipe(self) -> None:
        """FLUSHALL."""
        self.shop.wipe_queue()

    # Stripe

    def ledger(self) -> dict[str, Any]:
        """What really happened at Stripe."""
        found: dict[str, Any] = self.http.get(f"{self.shop.sandbox.url}/_sandbox/ledger", timeout=30).json()
        return found

    def receive(self, event: dict[str, Any], times: int = 1) -> None:
        """The front end takes a webhook."""
        self.told.add(event["id"])
        self.shop.deliver_event(event, times)

    def news(self) -> list[dict[str, Any]]:
        """The events that were not delivered, oldest first."""
        url, found, after = f"{self.shop.sandbox.url}/v1/events", [], {}
        while True:
            query = {"limit": 100, **after}
            body = self.http.get(url, params=query, headers={"Authorization": "Bearer sk_test_shop"}, timeout=30).json()
            found += body["data"]
            if not body["has_more"]:
                return [event for event in reversed(found) if event["id"] not in self.told]
            after = {"starting_after": found[-1]["id"]}


def lay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the points of interruption, and give everything the stage's clock."""
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0)  # the SDK's wait before it asks again
    monkeypatch.setattr(clock, "now", stage.now)
    monkeypatch.setattr(SandboxClock, "now", lambda _: int(stage.moment.timestamp()))
    gateway, database = runtime.runtime().gateway, db.database.obj
    ask, execute, commit, send = gateway._ask, database.execute_sql, database.commit, stage.shop.queue.enqueue

    def asking(*args: Any, **kwargs: Any) -> Any:
        stage.at("ask")
        answer = ask(*args, **kwargs)
        stage.at("answer")
        return answer

    def executing(*args: Any, **kwargs: Any) -> Any:
        stage.at("statement")
        return execute(*args, **kwargs)

    def committing() -> None:
        stage.at("statement")  # with all that was kept until now
        commit()

    def sending(message: Message[Any], *, delay: int | None = None) -> None:
        stage.at("send")
        send(message, delay=delay)

    monkeypatch.setattr(gateway, "_ask", asking)
    monkeypatch.setattr(database, "execute_sql", executing)
    monkeypatch.setattr(database, "commit", committing)
    monkeypatch.setattr(db, "_send", sending)


#: Marks what only ``make courses`` runs.
at_length = pytest.mark.skipif("RUNS" not in os.environ, reason="make courses runs these")


def seeds() -> list[int]:
    """The seeds of this run of ``make courses``, each for :data:`CHUNK` runs: SEED and those that follow, RUNS in all."""
    first, runs = int(os.environ.get("SEED", "1")), int(os.environ.get("RUNS", "0"))
    return list(range(first, first + -(-runs // CHUNK)))


def runs_to_a_seed() -> int:
    """How many runs each seed has."""
    return min(CHUNK, int(os.environ["RUNS"]))
