"""The pool of connections: Peewee's, without its round trip at every check-out.

Peewee asks the server ``SELECT 1`` each time a connection is taken, inside the one lock of the pool, so that threads wait for
each other's round trips. Only a connection that has rested can have died unnoticed; one that was in use a moment ago is
taken as it is. Should its server have gone in that moment, the first statement fails and the message is tried again.
"""

import time
from typing import Any

from playhouse.pool import PooledPostgresqlDatabase

#: A connection that was given back less than this ago is not asked whether it lives. Shorter than the wait before a retry.
RESTED_SECONDS = 0.5


class Pool(PooledPostgresqlDatabase):
    """Connections that are looked at only after a rest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._given_back: dict[int, float] = {}
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # playhouse has no annotations

    def _is_closed(self, conn: Any) -> bool:
        rested = time.monotonic() - self._given_back.pop(id(conn), 0.0)
        if rested <= RESTED_SECONDS:
            return bool(conn.closed)
        return bool(super()._is_closed(conn))  # type: ignore[no-untyped-call] # playhouse has no annotations

    def _can_reuse(self, conn: Any) -> bool:
        self._given_back[id(conn)] = time.monotonic()
        return bool(super()._can_reuse(conn))  # type: ignore[no-untyped-call] # playhouse has no annotations
