"""A worker process that is not fit to work ends itself."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from dramatiq import Worker
from support.jobs import declare

from paywindow.actors import watchdog
from paywindow.actors.watchdog import NothingLeftOpen, Watchdog
from paywindow.broker import make_broker
from paywindow.models import database as db


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set where the process would have ended."""
    happened = threading.Event()
    monkeypatch.setattr(watchdog, "end_process", happened.set)
    return happened


def start(redis_url: str, middleware: Any, job: Callable[[], None]) -> "tuple[Worker, Any]":
    broker = make_broker(redis_url, middleware)
    actor = declare(broker, job)
    worker = Worker(broker, worker_threads=1, worker_timeout=25)
    worker.start()
    return worker, actor


def test_the_process_ends_when_one_of_its_threads_has_died(redis_url: str, ended: threading.Event) -> None:
    worker, _ = start(redis_url, Watchdog(seconds=0.01), lambda: None)
    assert not ended.wait(0.1)

    worker.workers[0].stop()  # alone: as an exception that nobody expected would

    assert ended.wait(30)
    worker.stop()


def test_threads_that_end_in_order_are_no_reason(redis_url: str, ended: threading.Event) -> None:
    worker, _ = start(redis_url, Watchdog(seconds=0.01), lambda: None)

    worker.stop()

    assert not ended.wait(0.1)


def test_no_message_begins_on_a_thread_whose_transaction_was_left_open(
    redis_url: str, database_url: str, ended: threading.Event
) -> None:
    db.connect(database_url, 2, lambda message, delay=None: None)
    left_open: list[Any] = []

    def job() -> None:
        if not left_open:
            db.database.connect()
            left_open.append(db.database.atomic())
            left_open[0].__enter__()
        else:
            left_open[0].__exit__(None, None, None)
            db.database.close()

    worker, actor = start(redis_url, NothingLeftOpen(), job)
    actor.send()
    actor.send()

    assert ended.wait(30)
    worker.broker.join("jobs")
    worker.stop()
    db.disconnect()


def test_messages_whose_transactions_end_are_worked_on(
    redis_url: str, database_url: str, ended: threading.Event
) -> None:
    db.connect(database_url, 2, lambda message, delay=None: None)

    def job() -> None:
        with db.transaction():
            pass

    worker, actor = start(redis_url, NothingLeftOpen(), job)
    actor.send()
    actor.send()
    worker.broker.join("jobs")
    worker.stop()
    db.disconnect()

    assert not ended.is_set()
