"""The SQL of one purchase, overheard from Postgres' log, and said again by bare psycopg2 for others.

What differs between purchases (UUIDs, Stripe's ids, the numbers of outbox rows, the auction's lock) is replaced; everything else
is the product's own SQL, in its own transactions and order. One connection says a purchase's transactions one after the other,
and waits for each statement, as bare psycopg2 does; the product has some of them travel together (:mod:`paywindow.models.pool`).
"""

import re
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from benchmarks.installation import Installation

_LINE = re.compile(r"^(\d+)\|LOG:  statement: (.*)$")
_CONTINUED = re.compile(r"^\t(.*)$")
_OUTBOX = re.compile(r"(?<=outbox WHERE id = ANY\(ARRAY\[)[\d,]+")
_TOKEN = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"
    r"|\b(?:evt|pi|ch|cs_test|req|txn|cus|pm|re|seti|price|prod)_[A-Za-z0-9]{6,}|(?<=pg_advisory_xact_lock\()\d+"
)
_PATTERN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Script:
    """Statements, ``BEGIN`` and ``COMMIT`` among them, a transaction after the other; ``first_outbox``: its first outbox row."""

    statements: tuple[str, ...]
    first_outbox: int


@contextmanager
def overheard(installation: Installation, found: list[Script]) -> Iterator[None]:
    """Append to ``found`` what Postgres is told while the block runs."""
    postgres = installation.stack.postgres
    assert postgres is not None
    _settle(installation, "ALTER SYSTEM SET log_line_prefix = '%p|'", "ALTER SYSTEM SET log_statement = 'all'")
    began = postgres.log_path.stat().st_size
    ((last,),) = installation.query("SELECT last_value FROM outbox_id_seq")
    yield
    _settle(installation, "ALTER SYSTEM RESET log_line_prefix", "ALTER SYSTEM RESET log_statement")
    with postgres.log_path.open("rb") as log:
        log.seek(began)
        found.append(Script(tuple(_transactions(log.read().decode())), int(last) + 1))


def _settle(installation: Installation, *statements: str) -> None:
    connection = installation.database
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in (*statements, "SELECT pg_reload_conf()"):
            cursor.execute(statement)
    connection.autocommit = False
    time.sleep(_PATTERN_SECONDS)  # every backend takes notice before its next statement


def _transactions(text: str) -> Iterator[str]:
    """Each transaction at its end, all its statements together; a statement without one at once."""
    open_ones: dict[str, list[str]] = {}
    for pid, statement in _statements(text):
        if statement == "BEGIN":
            open_ones[pid] = []
        if pid not in open_ones:
            yield statement
            continue
        open_ones[pid].append(statement)
        if statement in ("COMMIT", "ROLLBACK"):
            yield from open_ones.pop(pid)


def _statements(text: str) -> Iterator[tuple[str, str]]:
    pid, lines = "", list[str]()
    for line in text.splitlines():
        if (said := _LINE.match(line)) is not None:
            if lines:
                yield from _alone(pid, lines)
            pid, lines = said[1], [said[2]]
        elif (more := _CONTINUED.match(line)) is not None and lines:
            lines.append(more[1])
        elif lines:
            yield from _alone(pid, lines)
            lines = []
    if lines:
        yield from _alone(pid, lines)


def _alone(pid: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The statements of one message, each by itself."""
    for statement in "\n".join(lines).split(";\n"):
        yield pid, statement


def replay(
    url: str, script: Script, purchases: Sequence[Mapping[str, str]], *, processes: int, connections: int
) -> float:
    """Say the script for each purchase, with its own ids; purchases per second."""
    shares = [purchases[number::processes] for number in range(processes)]
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_nothing, range(processes)))
        began = time.perf_counter()
        list(pool.map(_replay_share, [(url, script, share, connections) for share in shares]))
        return len(purchases) / (time.perf_counter() - began)


def _nothing(_: int) -> None:
    """So that the processes are there before the clock runs."""


def _replay_share(work: tuple[str, Script, Sequence[Mapping[str, str]], int]) -> None:
    url, script, purchases, connections = work
    failed: list[BaseException] = []

    def run(own: Sequence[Mapping[str, str]]) -> None:
        try:
            _replay_all(url, script, own)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(purchases[number::connections],)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _replay_all(url: str, script: Script, purchases: Sequence[Mapping[str, str]]) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    for known in purchases:
        ids = dict(known)
        outbox: list[int] = []
        for statement in script.statements:
            cursor.execute(_own(statement, ids, outbox, script.first_outbox))
            if cursor.description is not None:
                rows = cursor.fetchall()
                if statement.startswith("INSERT INTO outbox"):
                    outbox += sorted(row[0] for row in rows)
    connection.close()


def _own(statement: str, ids: dict[str, str], outbox: Sequence[int], first: int) -> str:
    def numbers(found: re.Match[str]) -> str:
        places = (int(old) - first for old in found[0].split(","))
        return ",".join(str(outbox[place] if 0 <= place < len(outbox) else 0) for place in places)

    def token(found: re.Match[str]) -> str:
        old = found[0]
        if old not in ids:
            ids[old] = _fresh(old)
        return ids[old]

    return _TOKEN.sub(token, _OUTBOX.sub(numbers, statement))


def _fresh(old: str) -> str:
    if old.isdigit():
        return str(secrets.randbits(63))
    if "_" in old:
        return f"{old.rpartition('_')[0]}_{secrets.token_hex(12)}"
    new = uuid.uuid4()
    return str(new) if "-" in old else new.hex
