"""The connection pool and the one way to use it: a transaction at a time, never across a call to Stripe."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Any, Protocol

from dramatiq import Message
from peewee import DatabaseProxy, Model
from playhouse.db_url import parse

from paywindow.models.pool import Pool

logger = logging.getLogger(__name__)

#: Longer than any statement of ours should take; a stuck one must not hold its locks for ever.
STATEMENT_TIMEOUT_MS = 5_000
POOL_WAIT_SECONDS = 5
STALE_SECONDS = 300

database = DatabaseProxy()


class Table(Model):
    """Base of all models."""

    class Meta:
        database = database
        legacy_table_names = False


class Send(Protocol):
    """Enqueues a message, ``delay`` milliseconds from now if given: the broker's ``enqueue``."""

    def __call__(self, message: Message[Any], *, delay: int | None = None) -> object: ...


class _AfterCommit(threading.local):
    """What the current thread's transaction wants sent and done once it has committed."""

    def __init__(self) -> None:
        self.messages: list[tuple[Message[Any], int | None]] = []
        self.actions: list[Callable[[], None]] = []


_after_commit = _AfterCommit()
_send: Send | None = None


def connect(database_url: str, pool_size: int, send: Send) -> None:
    """Point the models at a database. ``send`` enqueues the messages of committed outbox rows."""
    global _send
    options = parse(database_url)
    database.initialize(
        Pool(
            options.pop("database"),
            max_connections=pool_size,
            stale_timeout=STALE_SECONDS,
            timeout=POOL_WAIT_SECONDS,
            autoconnect=False,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
            **options,
        )
    )
    _send = send


def connect_to_read(database_url: str) -> None:
    """Point the models at a database for a command that changes nothing."""
    connect(database_url, 1, _refuse_to_send)


def _refuse_to_send(message: Message[Any], *, delay: int | None = None) -> object:
    raise RuntimeError(f"{message.actor_name} ({delay}) would be sent by a command that only reads")


def disconnect() -> None:
    """Close all connections of the pool."""
    if database.obj is not None:
        database.close_all()


@contextmanager
def transaction() -> Iterator[None]:
    """A connection, one transaction on it, and after its commit the messages that :func:`send_after_commit` was given.

    The messages only make follow-ups prompt: their outbox rows are committed, so a failure to send is logged and left to
    the sweep. Transactions do not nest: a caller that is already in one would commit at a moment it does not expect.
    """
    _after_commit.messages, _after_commit.actions = [], []
    with database.connection_context():
        if database.transaction_depth() != 0:
            raise RuntimeError("a transaction is already open on this thread")
        with database.atomic():
            yield
    messages, _after_commit.messages = _after_commit.messages, []
    actions, _after_commit.actions = _after_commit.actions, []
    for action in actions:
        action()
    for message, delay in messages:
        _send_now(message, delay)


@contextmanager
def savepoint() -> Iterator[None]:
    """A part of the current transaction that can fail alone: its rows and its messages go together."""
    kept, kept_actions = len(_after_commit.messages), len(_after_commit.actions)
    try:
        with database.atomic():
            yield
    except BaseException:
        del _after_commit.messages[kept:]
        del _after_commit.actions[kept_actions:]
        raise


def send_after_commit(message: Message[Any], delay: timedelta = timedelta()) -> None:
    """Enqueue ``message`` once the current transaction has committed, to run after ``delay``; dropped if it rolls back."""
    milliseconds = ceil(delay / timedelta(milliseconds=1))
    _after_commit.messages.append((message, milliseconds or None))


def after_commit(action: Callable[[], None]) -> None:
    """Run ``action`` once the current transaction has committed; forgotten if it rolls back.

    For counting, in this process's memory, what has really happened: it must not fail, and a crash loses it.
    """
    _after_commit.actions.append(action)


def _send_now(message: Message[Any], delay: int | None) -> None:
    if _send is None:
        raise RuntimeError("connect() has not been called")
    try:
        _send(message, delay=delay)
    except Exception:
        logger.warning("follow-up left to the sweep", exc_info=True, extra={"follow_up": message.actor_name})
