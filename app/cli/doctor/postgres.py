"""Postgres: reachable, new enough, migrated, with room for all connections, and with the right time."""

import time
from collections.abc import Iterator
from typing import Any

from paywindow.cli.connections import TIMEOUT_SECONDS, open_redis
from paywindow.cli.doctor.clocks import compare
from paywindow.cli.doctor.findings import Finding, Part, first_line
from paywindow.settings import Settings, secret

_PART = Part("postgres")
#: The oldest version that the PostgreSQL project still mends (https://www.postgresql.org/support/versioning/).
OLDEST = 14


def check(settings: Settings) -> Iterator[Finding]:
    """Findings about Postgres."""
    if settings.database_url is None:
        yield _PART.skip("reachable", "DATABASE_URL cannot be used")
        return
    import psycopg2

    try:
        connection = psycopg2.connect(
            secret(settings.database_url),
            connect_timeout=TIMEOUT_SECONDS,
            options=f"-c statement_timeout={TIMEOUT_SECONDS * 1000}",
        )
    except psycopg2.Error as error:
        yield _PART.fail("reachable", first_line(error), "check DATABASE_URL, the server and the way to it")
        return
    try:
        connection.set_session(readonly=True, autocommit=True)
        yield from _server(connection.cursor(), connection.server_version, settings)
    finally:
        connection.close()
    yield _migrations(settings)


def _server(cursor: Any, version: int, settings: Settings) -> Iterator[Finding]:
    major = version // 10_000
    yield _PART.judge(major >= OLDEST, "version", f"PostgreSQL {major}", f"use {OLDEST} or newer")
    if _ask(cursor, "SELECT pg_is_in_recovery()"):
        yield _PART.fail("writable", "this is a standby", "DATABASE_URL must name the primary")
    off = [name for name in ("fsync", "synchronous_commit") if _ask(cursor, f"SHOW {name}") == "off"]
    if off:
        found = f"{', '.join(off)} off: a crash loses what was answered"
        yield _PART.fail("durable", found, f"set {', '.join(off)} to on")
    yield _connections(cursor, settings)
    before = time.time()
    server = float(_ask(cursor, "SELECT extract(epoch FROM clock_timestamp())"))
    after = time.time()
    yield compare(_PART, "clock", server - (before + after) / 2, (after - before) / 2)


def _connections(cursor: Any, settings: Settings) -> Finding:
    room = int(_ask(cursor, "SHOW max_connections")) - int(_ask(cursor, "SHOW superuser_reserved_connections"))
    wanted, source = _wanted(settings)
    found = f"{wanted} of {room} connections for the pools of {source}"
    remedy = "raise max_connections, or lower --processes, --threads or DATABASE_POOL_SIZE"
    if wanted > room:
        return _PART.fail("pools", found, remedy)
    # Migration, operators and a rolling restart, in which old and new processes overlap, need some too.
    return _PART.warn("pools", found, remedy) if wanted > room * 0.8 else _PART.ok("pools", found)


def _wanted(settings: Settings) -> tuple[int, str]:
    """Connections of the workers that are alive; while that cannot be known, of one of each role."""
    import redis

    from paywindow import heartbeats
    from paywindow.messages import ROLES

    if settings.redis_url is not None:
        try:
            workers = [sign for sign in heartbeats.living(open_redis(settings.state_url)) if sign.kind == "worker"]
        except redis.RedisError:
            workers = []
        if workers:
            return sum(sign.connections for sign in workers), f"{len(workers)} worker processes"
    return len(ROLES) * settings.database_pool_size, "one worker of each role"


def _migrations(settings: Settings) -> Finding:
    from paywindow.models.migrate import pending

    missing = pending(secret(settings.database_url))
    found = f"{len(missing)} missing, from {missing[0]} on" if missing else "all applied"
    return _PART.judge(not missing, "migrations", found, "run `paywindow migrate`")


def _ask(cursor: Any, question: str) -> Any:
    cursor.execute(question)
    return cursor.fetchone()[0]
