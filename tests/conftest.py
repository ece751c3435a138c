"""Real services for tests: each parallel pytest worker has its own PostgreSQL, Redis and clock.

A fixture whose service is missing skips on a developer's machine and fails where `CI` is set: there, a skip would be a
hole that nobody sees.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import redis

from paywindow import logs
from paywindow.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedUnavailableError

#: Modules that take a minute and more: begun first, so that no process is left alone with one of them at the end.
_LONG = (
    "test_api_document",
    "test_commands",
    "test_accounting_property",
    "test_retry_property",
    "test_window_interleavings",
)
_TEMPLATE = "migrated"
#: A database is made for each test and dropped after it: files that go as they came need no disk.
_IN_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 2 * 1024**3
_database_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(autouse=True)
def _no_ids_of_other_tests() -> None:
    """Actors that a test runs bind the ids of its log lines in the test's own thread, which goes on to the next test."""
    logs.replace({})


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], str]:
    """Call it with a program's name: its path, or the test is skipped (fails where `CI` is set)."""

    def require(name: str) -> str:
        return shutil.which(name) or _unavailable(f"{name} is not installed")

    return require


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """This worker's PostgreSQL. A test that stops it need not bring it back."""
    needed = _MEMORY_BYTES * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= needed
    with tempfile.TemporaryDirectory(prefix="paywindow-test-", dir=_IN_MEMORY if roomy else None) as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        try:
            server.start()
        except EmbeddedUnavailableError as error:
            _unavailable(str(error))
        with server:
            yield server


@pytest.fixture(scope="session")
def _migrated_template(postgres: EmbeddedPostgres) -> str:
    from paywindow.models.migrate import migrate

    postgres.start()
    migrate(postgres.create_database(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without tables, dropped after the test."""
    yield from _fresh_database(postgres, None)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, _migrated_template: str) -> Iterator[str]:
    """A fresh database with all migrations applied, dropped after the test."""
    yield from _fresh_database(postgres, _migrated_template)


def _fresh_database(postgres: EmbeddedPostgres, template: str | None) -> Iterator[str]:
    postgres.start()
    name = f"test_{next(_database_numbers)}"
    yield postgres.create_database(name, template=template)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """This worker's Redis. A test that stops it need not bring it back."""
    with tempfile.TemporaryDirectory(prefix="paywindow-test-") as folder:
        server = EmbeddedRedis(Path(folder), durable=False)
        try:
            server.start()
        except EmbeddedUnavailableError as error:
            _unavailable(str(error))
        with server:
            yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of an empty Redis, logical database 0; the others are empty too."""
    url = redis_server.start()
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def clock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the offset of business time, not yet written, known to this process and to those it starts."""
    path = tmp_path / "clock"
    monkeypatch.setenv("PAYWINDOW_CLOCK_FILE", str(path))
    return path
