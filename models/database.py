"""The connection pool and the one way to use it: a transaction at a time, never across a call to Stripe."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from math import ceil
from typing import Any, Protocol, Self
from uuid import UUID

from dramatiq import Message
from peewee import DatabaseProxy, DoesNotExist, Model
from playhouse.db_url import parse

from paywindow.models.pool import Pool

logger = logging.getLogger(__name__)

#: Longer than any statement of ours should take; a stuck one must not hold its locks for ever.
STATEMENT_TIMEOUT_MS = 5_000
POOL_WAIT_SECONDS = 5
STALE_SECONDS = 300

database = DatabaseProxy()


class Table(Model):
    """Base of all models.

    Peewee writes a query's text anew each time: for a table of forty columns that takes longer than Postgres needs to answer, and
    was a third of the workers' CPU. Whole rows are read, inserted and changed here by texts that are made once.
    """

    class Meta:
        database = database
        legacy_table_names = False

    @classmethod
    def read_all(cls, clause: str, *values: Any) -> list[Self]:
        """The rows that a clause selects. ``clause``: SQL that follows the table's name, with a ``%s`` for each value."""
        adapted = (str(each) if isinstance(each, UUID) else each for each in values)
        return list(cls.raw(f"{_select_from(cls)} {clause}", *adapted))

    @classmethod
    def read_one(cls, clause: str, *values: Any) -> Self | None:
        """The first of them, if there is one."""
        return next(iter(cls.read_all(clause, *values)), None)

    @classmethod
    def get_by_id(cls, pk: Any) -> Self:
        """The row with this key. Raises :class:`peewee.DoesNotExist` when there is none."""
        found = cls.read_one(f'WHERE "{_key(cls).column_name}" = %s', pk)
        if found is None:
            raise DoesNotExist(f"there is no {cls.__name__} {pk}")
        return found

    @classmethod
    def create(cls, **values: Any) -> Self:
        """Insert a row, with the transaction's next statement; a key that Postgres gives is not read."""
        row: Any = cls(**values)
        database.execute_later(*_insertion(row))
        row._dirty.clear()
        return row  # type: ignore[no-any-return] # Peewee has no annotations for what it keeps of a row

    @classmethod
    def create_if_new(cls, **values: Any) -> Self | None:
        """Insert a row, or return ``None`` when there is one with the same key.

        Values must be of the types that they are read as: what is returned was not read.
        """
        row: Any = cls(**values)
        cursor = database.execute_sql(*_insertion(row, " ON CONFLICT DO NOTHING"))
        row._dirty.clear()
        return row if cursor.rowcount == 1 else None

    @classmethod
    def change(cls, pk: Any, **values: Any) -> None:
        """Set columns of the row with this key, with the transaction's next statement; nothing happens when there is none."""
        text, fields = _update(cls, tuple(values))
        adapted = [field.db_value(value) for field, value in zip(fields, [*values.values(), pk], strict=True)]
        database.execute_later(text, adapted)


def _key(table: type[Table]) -> Any:
    meta: Any = table._meta
    return meta.primary_key


def _insertion(row: Any, conflict: str = "") -> tuple[str, list[Any]]:
    data = row.__data__
    table: Any = type(row)
    text, fields = _insert_into(table, tuple(data), conflict)
    return text, [field.db_value(data[field.name]) for field in fields]


@cache
def _select_from(table: type[Table]) -> str:
    meta: Any = table._meta
    columns = ", ".join(f'"{field.column_name}"' for field in meta.sorted_fields)
    return f'SELECT {columns} FROM "{meta.table_name}"'  # noqa: S608 - names of ours alone


@cache
def _update(table: type[Table], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    meta: Any = table._meta
    fields = [meta.fields[name] for name in names]
    columns = ", ".join(f'"{field.column_name}" = %s' for field in fields)
    text = f'UPDATE "{meta.table_name}" SET {columns} WHERE "{_key(table).column_name}" = %s'  # noqa: S608 - names of ours alone
    return text, [*fields, _key(table)]


@cache
def _insert_into(table: type[Table], names: tuple[str, ...], conflict: str) -> tuple[str, list[Any]]:
    meta: Any = table._meta
    fields = [meta.fields[name] for name in names]
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    return f'INSERT INTO "{meta.table_name}" ({columns}) VALUES ({marks}){conflict}', fields  # noqa: S608 - names of ours alone


class Send(Protocol):
    """Enqueues a message, ``delay`` milliseconds from now if given: the broker's ``enqueue``."""

    def __call__(self, message: Message[Any], *, delay: int | None = None) -> object: ...


#: A message, and the milliseconds after which it is to run.
Sending = tuple[Message[Any], int | None]
#: Does what a commit asks for and cannot wait, and returns what is left to be sent.
AtOnce = Callable[[list[Sending]], list[Sending]]


class _AtCommit(threading.local):
    """What the current thread's transaction wants written just before it commits, and sent and done once it has."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.writes: list[tuple[Callable[[list[Any]], None], Any]] = []
        self.messages: list[Sending] = []
        self.actions: list[Callable[[], None]] = []


_at_commit = _AtCommit()


def nothing_at_once(sendings: list[Sending]) -> list[Sending]:
    """Leave everything to messages."""
    return sendings


_at_once: AtOnce = nothing_at_once


def _refuse_to_send(message: Message[Any], *, delay: int | None = None) -> object:
    raise RuntimeError(f"{message.actor_name} ({delay}) would be sent by a command that only reads")


_send: Send = _refuse_to_send


def connect(database_url: str, pool_size: int, send: Send, at_once: AtOnce = nothing_at_once) -> None:
    """Point the models at a database.

    ``send`` enqueues the messages of committed outbox rows, after ``at_once`` did what it does on the thread that committed.
    """
    global _send, _at_once
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
    _send, _at_once = send, at_once


def connect_to_read(database_url: str) -> None:
    """Point the models at a database for a command that changes nothing."""
    connect(database_url, 1, _refuse_to_send)


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
    with database.connection_context():
        if database.transaction_depth() != 0:
            raise RuntimeError("a transaction is already open on this thread")
        _at_commit.forget()
        with database.atomic():
            yield
            _write()
    messages, actions = _at_commit.messages, _at_commit.actions
    _at_commit.forget()
    for action in actions:
        action()
    for message, delay in _at_once(messages):
        try:
            _send(message, delay=delay)
        except Exception:
            logger.warning("follow-up left to the sweep", exc_info=True, extra={"follow_up": message.actor_name})


@contextmanager
def connection() -> Iterator[None]:
    """A connection for statements that need no transaction around them: each is one by itself, and has no follow-ups.

    At Postgres' level of isolation reads see no more of one moment within a transaction than without.
    """
    with database.connection_context():
        yield


@contextmanager
def savepoint() -> Iterator[None]:
    """A part of the current transaction that can fail alone: its rows and its messages go together."""
    lists: tuple[list[Any], ...] = (_at_commit.writes, _at_commit.messages, _at_commit.actions)
    lengths = [len(each) for each in lists]
    try:
        with database.obj.savepoint():  # of the proxy, it would be Peewee's own
            yield
    except BaseException:
        for each, length in zip(lists, lengths, strict=True):
            del each[length:]
        raise


def send_after_commit(message: Message[Any], delay: timedelta = timedelta()) -> None:
    """Enqueue ``message`` once the current transaction has committed, to run after ``delay``; dropped if it rolls back."""
    milliseconds = ceil(delay / timedelta(milliseconds=1))
    _at_commit.messages.append((message, milliseconds or None))


def after_commit(action: Callable[[], None]) -> None:
    """Run ``action`` once the current transaction has committed; forgotten if it rolls back.

    For counting, in this process's memory, what has really happened: it must not fail, and a crash loses it.
    """
    _at_commit.actions.append(action)


def before_commit(write: Callable[[list[Any]], None], item: Any) -> None:
    """Have ``write`` called with ``item``, and with what else it is asked for, when the current transaction is about to commit.

    ``item`` is forgotten if its part of the transaction rolls back. Raises :class:`RuntimeError` outside of transactions.
    """
    if database.transaction_depth() == 0:
        raise RuntimeError("there is no transaction that could commit")
    _at_commit.writes.append((write, item))


def _write() -> None:
    items: dict[Callable[[list[Any]], None], list[Any]] = {}
    for write, item in _at_commit.writes:
        items.setdefault(write, []).append(item)
    for write, theirs in items.items():
        write(theirs)
