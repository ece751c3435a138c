"""The embedded PostgreSQL and Redis keep their data, keep to themselves, and work for root and for others."""

import os
import signal
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from paywindow.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis


def _select(url: str, query: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        return None if row is None else row[0]


def _remember(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def test_postgres_keeps_its_data_over_a_restart_and_a_crash(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        _remember(server.create_database("shop"))

        server.restart()
        assert _select(server.database_url("shop"), "SELECT answer FROM kept") == 42

        server.kill()
        server.start()
        assert _select(server.database_url("shop"), "SELECT answer FROM kept") == 42


def test_a_second_object_finds_the_data_that_the_first_left_in_the_folder(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as first:
        _remember(first.create_database("shop"))
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as second:
        assert _select(second.create_database("shop"), "SELECT answer FROM kept") == 42


def test_redis_keeps_every_acknowledged_write_over_a_restart_and_a_crash(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("answer", "42")

        with redis.Redis.from_url(server.restart()) as client:
            assert client.get("answer") == b"42"
            client.set("answer", "43")

        server.kill()
        with redis.Redis.from_url(server.start()) as client:
            assert client.get("answer") == b"43"


def test_redis_is_set_up_as_a_queue_and_not_as_a_cache(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        settings = {
            name: client.config_get(name)[name]
            for name in ("appendonly", "appendfsync", "maxmemory-policy", "save", "databases", "bind")
        }
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "databases": "16",
        "bind": "127.0.0.1",
    }


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("TimeZone", "UTC"),
        ("max_connections", "100"),
        ("server_encoding", "UTF8"),
    ],
)
def test_postgres_is_set_up_alike_on_every_machine(postgres: EmbeddedPostgres, setting: str, value: str) -> None:
    assert _select(postgres.start(), f"SHOW {setting}") == value


def test_postgres_for_development_flushes_to_the_disk(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert _select(server.url, "SHOW fsync") == "on"


def test_two_servers_at_once_do_not_collide(
    postgres: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    postgres.start()
    redis_server.start()
    with (
        EmbeddedPostgres(tmp_path / "postgres", durable=False) as other_postgres,
        EmbeddedRedis(tmp_path / "redis") as other_redis,
    ):
        _remember(other_postgres.create_database("shop"))
        assert _select(postgres.url, "SELECT count(*) FROM pg_database WHERE datname = 'shop'") == 0
        with redis.Redis.from_url(other_redis.url) as other, redis.Redis.from_url(redis_server.url) as one:
            other.set("only-here", "1")
            assert one.get("only-here") is None


def test_a_port_taken_at_the_last_moment_is_given_up_for_another(
    redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.start()
    from paywindow.embedded import server as server_module

    real_free_port = server_module.free_port
    offered = iter([redis_server.port])
    monkeypatch.setattr(server_module, "free_port", lambda: next(offered, None) or real_free_port())

    with EmbeddedRedis(tmp_path / "redis") as other:
        assert other.port != redis_server.port
        assert other.pid != redis_server.pid


def test_a_folder_in_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paywindow.embedded.server._LOCK_TIMEOUT_SECONDS", 0.0)
    with EmbeddedRedis(tmp_path / "redis") as first:
        with pytest.raises(EmbeddedError, match="in use by another running redis"):
            EmbeddedRedis(tmp_path / "redis").start()
        assert first.running


def test_a_server_that_is_not_running_has_no_url(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    with pytest.raises(EmbeddedError, match="is not running"):
        _ = server.url


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with EmbeddedPostgres(folder, durable=False):
        pass
    (folder / "data" / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(EmbeddedError, match=r"initialized by PostgreSQL version 9\.6"):
        EmbeddedPostgres(folder, durable=False).start()


def test_a_database_made_from_a_template_has_its_tables(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    _remember(postgres.create_database("pattern"))
    copy = postgres.create_database("copy of a pattern", template="pattern")
    assert _select(copy, "SELECT answer FROM kept") == 42
    for name in ("copy of a pattern", "pattern"):
        postgres.drop_database(name)
    assert _select(postgres.url, "SELECT count(*) FROM pg_database WHERE datname LIKE '%%pattern'") == 0


def test_starting_twice_is_starting_once(redis_server: EmbeddedRedis) -> None:
    url, pid = redis_server.start(), redis_server.pid
    assert redis_server.start() == url
    assert redis_server.pid == pid


def test_a_server_that_died_is_noticed_and_can_be_started_again(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        os.kill(server.pid, signal.SIGKILL)
        while server.running:
            pass
        with redis.Redis.from_url(server.start()) as client:
            assert client.ping()
