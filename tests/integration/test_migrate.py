"""Migrations: once, however often and by however many processes they are run."""

import subprocess
import sys

import psycopg2

from paywindow.models.migrate import DIRECTORY, migrate, pending

NAMES = sorted(path.stem for path in DIRECTORY.glob("[0-9]*.py"))
_RUN = "import sys; from paywindow.models.migrate import migrate; print(*migrate(sys.argv[1]))"


def test_an_empty_database_gets_every_migration_in_order(empty_database_url: str) -> None:
    assert pending(empty_database_url) == NAMES
    assert migrate(empty_database_url) == NAMES
    assert pending(empty_database_url) == []


def test_a_second_run_finds_nothing_to_do_and_keeps_what_is_there(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg2.connect(empty_database_url) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO receipt_counters VALUES ('R-2026', 7)")

    assert migrate(empty_database_url) == []

    with psycopg2.connect(empty_database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT last_number FROM receipt_counters")
        assert cursor.fetchall() == [(7,)]


def test_of_several_processes_at_once_one_migrates_and_the_others_find_it_done(empty_database_url: str) -> None:
    command = [sys.executable, "-c", _RUN, empty_database_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate()[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(outputs) == [[], [], NAMES]
    assert pending(empty_database_url) == []
