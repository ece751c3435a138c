"""Looking for card numbers in the database, where none may ever be (PCI DSS; Stripe's pages take them, not ours).

A scan walks through all tables of the schema, as the database itself lists them, so that a new table or column is never
forgotten: each by its primary key, a page at a time, all columns of texts and JSON, Stripe's events included. What is
written behind the cursor is found by the next scan.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from paywindow import card_numbers
from paywindow.models.database import database
from paywindow.models.tables import CardFinding, CardScan
from paywindow.scrubbing import scrub

#: Who scans when nobody asked.
SCHEDULE = "system:sweeps.card_numbers"
EVERY = timedelta(days=1)
#: How long scans are kept.
KEPT = timedelta(days=90)
#: Rows of a page: events of Stripe's have several kilobytes each.
PAGE = 200

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), coalesce(array_position(i.indkey::int[], a.attnum), -1),
    t.typcategory = 'S' OR t.typname IN ('json', 'jsonb', 'xml')
        OR EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND t.typcategory = 'A' AND e.typcategory = 'S')
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attnum
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A table with texts in it: its primary key (names and types, in the key's order) and the columns to read."""

    table: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Find:
    """Where a card number is: never the number itself, but for its last four digits."""

    table: str
    column: str
    row: str
    last_four: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of a table held. ``after``: where to go on; ``None`` at the table's end."""

    finds: tuple[Find, ...]
    rows: int
    after: str | None


def sources() -> list[Source]:
    """All tables with columns of texts, by name. Raises :class:`ValueError` for one without a primary key."""
    found = []
    for table, rows in groupby(database.execute_sql(_COLUMNS).fetchall(), key=lambda row: row[0]):
        columns = list(rows)
        key = sorted((position, name, kind) for _, name, kind, position, _ in columns if position >= 0)
        texts = tuple(name for _, name, _, _, is_text in columns if is_text)
        if not key:
            raise ValueError(f"the table {table} has no primary key, so it cannot be read page by page")
        if texts:
            found.append(Source(table, tuple((name, kind) for _, name, kind in key), texts))
    return found


def read(source: Source, after: str | None) -> Page:
    """Read and look through one page, in the current transaction."""
    names = ", ".join(_quoted(name) for name, _ in source.key)
    read = [*(name for name, _ in source.key), *source.columns]
    # Under other names: ORDER BY would sort by the text of a key otherwise.
    shown = ", ".join(f"{_quoted(name)}::text AS shown_{number}" for number, name in enumerate(read))
    start, parameters = "", []
    if after is not None:
        parameters = json.loads(after)
        start = f"WHERE ({names}) > ({', '.join(f'%s::{kind}' for _, kind in source.key)})"
    query = (
        f"SELECT {shown} FROM {_quoted(source.table)} {start} "  # noqa: S608 - names from the catalogue
        f"ORDER BY {names} LIMIT {PAGE}"
    )
    rows = database.execute_sql(query, parameters).fetchall()
    width = len(source.key)
    finds = tuple(find for row in rows for find in _look(source, row[:width], row[width:]))
    last = json.dumps(rows[-1][:width]) if len(rows) == PAGE else None
    return Page(finds, len(rows), last)


def _look(source: Source, key: tuple[str, ...], texts: tuple[str | None, ...]) -> list[Find]:
    return [
        Find(source.table, column, scrub(",".join(key)), numbers[0][-4:])
        for column, text in zip(source.columns, texts, strict=True)
        if text and (numbers := card_numbers.find(text))
    ]


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""').replace("%", "%%"))


def rows_estimated() -> dict[str, int]:
    """About how many rows each table has, as Postgres last counted them."""
    query = "SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    return dict(database.execute_sql(query).fetchall())


def due(at: datetime) -> CardScan | None:
    """The daily scan to go on with, begun now if it is time; ``None`` if the last one is done."""
    # One at a time may ask: two schedules would otherwise begin a scan each.
    database.execute_sql("SELECT pg_advisory_xact_lock(hashtext('card_scans'))")
    last: CardScan | None = CardScan.select().order_by(CardScan.started_at.desc()).first()
    if last is not None and last.finished_at is None:
        return last
    if last is not None and at < last.started_at + EVERY:
        return None
    CardScan.delete().where(CardScan.started_at < at - KEPT).execute()
    scan: CardScan = CardScan.create(id=uuid.uuid4(), who=SCHEDULE, started_at=at)
    return scan


def advance(scan: CardScan, source: Source, page: Page, following: Source | None, at: datetime) -> bool:
    """Record what a page held, and where to go on; false when another run was faster."""
    done = page.after is None
    table = source.table if not done else (following.table if following else source.table)
    changes: dict[str, Any] = {"table_name": table, "after": page.after}
    if done and following is None:
        changes["finished_at"] = at
    changed: int = (
        CardScan.update(steps=CardScan.steps + 1, rows_read=CardScan.rows_read + page.rows, **changes)
        .where(CardScan.id == scan.id, CardScan.steps == scan.steps)
        .execute()
    )
    if changed and page.finds:
        CardFinding.insert_many(
            {
                "scan": scan.id,
                "table_name": find.table,
                "column_name": find.column,
                "row_key": find.row,
                "last_four": find.last_four,
                "found_at": at,
            }
            for find in page.finds
        ).on_conflict_ignore().execute()
    return changed == 1


def last_finished() -> CardScan | None:
    """The scan that was finished last."""
    found: CardScan | None = (
        CardScan.select().where(CardScan.finished_at.is_null(False)).order_by(CardScan.finished_at.desc()).first()
    )
    return found


def counts(scan: CardScan) -> dict[str, int]:
    """How many places with card numbers a scan found, by table."""
    query = "SELECT table_name, count(*) FROM card_findings WHERE scan_id = %s GROUP BY table_name"
    return dict(database.execute_sql(query, (scan.id,)).fetchall())
