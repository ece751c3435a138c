"""Brings a database's tables up to date; safe to run twice and by several processes at once."""

from pathlib import Path

from peewee import PostgresqlDatabase
from playhouse.db_url import parse
from playhouse.migrations import Runner

DIRECTORY = Path(__file__).parent / "migrations"
# Any constant that nothing else in this database locks: the ASCII of "paywindo".
_LOCK = 0x70617977696E646F


def migrate(database_url: str) -> list[str]:
    """Apply what is missing and return the names of the applied migrations, oldest first.

    ``playhouse.migrations`` takes no lock of its own, so a second process waits here for the first one's advisory lock
    and then finds nothing left to do. The lock belongs to the connection and goes with it, whatever happens.
    """
    with _open(database_url) as database:
        database.execute_sql("SELECT pg_advisory_lock(%s)", (_LOCK,))
        applied: list[str] = Runner(database, str(DIRECTORY)).up()
        return applied


def pending(database_url: str) -> list[str]:
    """The names of the migrations that have not been applied yet."""
    with _open(database_url) as database:
        return [migration.name for migration in Runner(database, str(DIRECTORY)).status() if not migration.applied]


def _open(database_url: str) -> PostgresqlDatabase:
    return PostgresqlDatabase(**parse(database_url))
