"""Connections from the pool: a dead one is found when it has rested, and one in steady use is not asked each time."""

from collections.abc import Iterator

import psycopg2
import pytest
from peewee import OperationalError
from playhouse.db_url import parse

from paywindow.models import pool
from paywindow.models.pool import Pool


@pytest.fixture
def database(database_url: str) -> Iterator[Pool]:
    options = parse(database_url)
    found = Pool(options.pop("database"), max_connections=1, autoconnect=False, **options)
    yield found
    found.close_all()


def _backend(database: Pool) -> int:
    with database.connection_context():
        ((pid,),) = database.execute_sql("SELECT pg_backend_pid()").fetchall()
    return int(pid)


def _end(database_url: str, pid: int) -> None:
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    connection.close()


def test_a_connection_that_died_while_it_rested_is_replaced_unseen(
    database: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RESTED_SECONDS", -1.0)
    first = _backend(database)
    _end(database_url, first)
    assert _backend(database) != first


def test_a_connection_that_died_in_steady_use_fails_one_statement_and_is_then_replaced(
    database: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RESTED_SECONDS", 3600.0)
    first = _backend(database)
    _end(database_url, first)
    with pytest.raises(OperationalError):
        _backend(database)
    assert _backend(database) != first


def test_a_connection_in_steady_use_is_taken_without_a_round_trip(
    database: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RESTED_SECONDS", 3600.0)
    pid = _backend(database)
    with database.connection_context(), psycopg2.connect(database_url) as other, other.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,))
        assert cursor.fetchone() == ("SELECT pg_backend_pid()",), "nothing was asked since"
    other.close()
