"""The pool of connections: Peewee's, without its round trips at every check-out and ``BEGIN``.

Peewee asks the server ``SELECT 1`` each time a connection is taken, inside the one lock of the pool, so that threads wait for
each other's round trips. Only a connection that has rested can have died unnoticed; one that was in use a moment ago is
taken as it is. Should its server have gone in that moment, the first statement fails and the message is tried again.

A statement whose answer nobody reads need not be waited for: it is kept, and travels with the next one, or with ``COMMIT``, as
one message of the simple protocol (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
Postgres runs them one after the other, each with a snapshot of its own, as if they had come alone; ``BEGIN`` is the first of
them. Should one fail, the error is raised where they are sent, within the same transaction.
"""

import threading
import time
from typing import Any

from peewee import InternalError, __exception_wrapper__, _savepoint  # type: ignore[attr-defined] # playhouse uses it, too
from playhouse.pool import PooledPostgresqlDatabase
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR

#: A connection that was given back less than this ago is not asked whether it lives. Shorter than the wait before a retry.
RESTED_SECONDS = 0.5
_BEGIN = b"BEGIN"


class _Kept(threading.local):
    """The statements of this thread's transaction that are still to be sent."""

    def __init__(self) -> None:
        self.statements: list[bytes] = []


class _Savepoint(_savepoint):
    """A savepoint that travels with its first statement, and its release with what follows.

    Its statements are all sent before it ends, so that one that fails still fails within it.
    """

    def _begin(self) -> None:
        self.db.send_kept()  # what fails of this is not the savepoint's
        self.db.execute_later(self._text)

    def commit(self, begin: bool = False) -> None:
        """Keep what its statements did."""
        del begin
        if self.db.last_kept == self._text.encode():  # it did nothing
            self.db.forget_since(self._text)
            return
        self.db.send_kept()
        self.db.execute_later(f"RELEASE {self._text}")

    def rollback(self, begin: bool = False) -> None:
        """Take back what its statements did, and drop those that were not sent."""
        del begin
        if not self.db.forget_since(self._text):
            self.db.execute_later(f"ROLLBACK TO {self._text}")

    @property
    def _text(self) -> str:
        return f"SAVEPOINT {self.quoted_sid}"


class Pool(PooledPostgresqlDatabase):
    """Connections that are looked at only after a rest, and statements that travel together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._given_back: dict[int, float] = {}
        self._kept = _Kept()
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # playhouse has no annotations

    def _is_closed(self, conn: Any) -> bool:
        rested = time.monotonic() - self._given_back.pop(id(conn), 0.0)
        if rested <= RESTED_SECONDS:
            return bool(conn.closed)
        return bool(super()._is_closed(conn))  # type: ignore[no-untyped-call] # playhouse has no annotations

    def _can_reuse(self, conn: Any) -> bool:
        self._given_back[id(conn)] = time.monotonic()
        return bool(super()._can_reuse(conn))  # type: ignore[no-untyped-call] # playhouse has no annotations

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin a transaction with its first statement."""
        if isolation_level is not None:
            raise ValueError("transactions have the server's level of isolation")
        self._kept.statements = [_BEGIN]

    def execute_later(self, sql: str, params: Any = None) -> None:
        """Run a statement, whose answer nobody reads, before the transaction's next one; outside of a transaction, now."""
        if self.transaction_depth() == 0:
            self.execute_sql(sql, params)
        else:
            self._kept.statements.append(self._text(sql, params))

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run what is kept and this; returns the cursor of this one."""
        if self.transaction_depth() > 0:
            self._refuse_unless_begun()
        if not self._kept.statements:
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call] # playhouse has no annotations
        return self._send(self._text(sql, params))

    def savepoint(self) -> _Savepoint:
        """A part of the transaction that can be rolled back alone."""
        return _Savepoint(self)

    @property
    def last_kept(self) -> bytes:
        """The newest statement that is kept; empty when none is."""
        return self._kept.statements[-1] if self._kept.statements else b""

    def send_kept(self) -> None:
        """Run what is kept."""
        if self._kept.statements not in ([], [_BEGIN]):
            self._send()

    def forget_since(self, sql: str) -> bool:
        """Drop a kept statement and those after it; all of them if it was sent already. Returns whether it was not."""
        statements, first = self._kept.statements, sql.encode()
        kept = first in statements
        del statements[statements.index(first) if kept else 0 :]
        return kept

    def commit(self) -> None:
        """Run what is kept, and commit; nothing is sent of a transaction without statements.

        Raises :class:`peewee.InternalError` when an error was overlooked: Postgres would roll back, and call that no error.
        """
        kept = self._kept.statements
        if kept == [_BEGIN]:
            self._kept.statements = []
            return
        self._refuse_unless_begun()
        if self._status() == TRANSACTION_STATUS_INERROR and not (kept and kept[0].startswith(b"ROLLBACK TO ")):
            raise InternalError("a statement of this transaction has failed")
        self._send(b"COMMIT")

    def rollback(self) -> None:
        """Drop what is kept, and roll back what was sent."""
        begun = self._kept.statements[:1] != [_BEGIN]
        self._kept.statements = []
        if begun:
            self._send(b"ROLLBACK")

    def _text(self, sql: str, params: Any) -> bytes:
        with __exception_wrapper__:
            text: bytes = self.cursor().mogrify(sql, params or ())  # type: ignore[no-untyped-call] # playhouse has no annotations
        return text

    def _status(self) -> int:
        return int(self.connection().get_transaction_status())  # type: ignore[no-untyped-call] # playhouse has no annotations

    def _refuse_unless_begun(self) -> None:
        # What is said without a transaction is committed at once. Of a message that Postgres cannot read nothing is run, not its
        # BEGIN either: whoever overlooks that error is told here.
        if self._kept.statements[:1] != [_BEGIN] and self._status() == TRANSACTION_STATUS_IDLE:
            raise InternalError("the transaction did not begin")

    def _send(self, *last: bytes) -> Any:
        statements, self._kept.statements = [*self._kept.statements, *last], []
        with __exception_wrapper__:
            cursor = self.cursor()  # type: ignore[no-untyped-call] # playhouse has no annotations
            cursor.execute(b";\n".join(statements))
        return cursor
