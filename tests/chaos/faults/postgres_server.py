"""Postgres restarts, or ends connections in the middle of whatever they did."""

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaos.faults.registry import fault
from support.installation import until

if TYPE_CHECKING:
    from chaos.ground import Ground

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@fault("Postgres restarted", "postgres", (0, 1.5))
def restart(ground: "Ground") -> Iterator[bool]:
    """An immediate shutdown: every backend quits where it stands, and the next start recovers from the log."""
    postgres = ground.shop.postgres
    os.kill(postgres.pid, signal.SIGQUIT)
    until(lambda: not postgres.running, "Postgres to quit")
    yield True
    postgres.start()


@fault("Postgres connections terminated", "postgres", (0, 0))
def terminate_all(ground: "Ground") -> Iterator[bool]:
    """All of them."""
    yield bool(ground.books.rows(f"SELECT pg_terminate_backend(pid) {_OTHERS}"))


@fault("Postgres connection terminated", "postgres", (0, 0))
def terminate_one(ground: "Ground") -> Iterator[bool]:
    """The one that is in a transaction for the longest time, if any."""
    longest = "AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1"
    yield bool(ground.books.rows(f"SELECT pg_terminate_backend(pid) {_OTHERS} {longest}"))
