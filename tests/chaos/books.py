"""What Postgres says, asked by any thread of the harness, also while Postgres is being restarted."""

import threading
from typing import Any

import psycopg2
import psycopg2.extras


class Books:
    """Reads the database of an installation; a connection for each thread, opened anew when it was cut."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """All rows. Raises :class:`psycopg2.OperationalError` while Postgres is away."""
        try:
            return self._query(query, parameters)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self.close()
            return self._query(query, parameters)

    def value(self, query: str, *parameters: Any) -> Any:
        """The only column of the only row."""
        (row,) = self.rows(query, *parameters)
        (value,) = row.values()
        return value

    def execute(self, statement: str) -> None:
        """Change something."""
        with self._connection().cursor() as cursor:
            cursor.execute(statement)

    def close(self) -> None:
        """Close this thread's connection."""
        connection = self._local.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    def _query(self, query: str, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
        with self._connection().cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(query, parameters or None)
            return [dict(row) for row in cursor.fetchall()]

    def _connection(self) -> Any:
        connection = self._local.__dict__.get("connection")
        if connection is None:
            connection = self._local.connection = psycopg2.connect(self._url)
            connection.autocommit = True
        return connection
