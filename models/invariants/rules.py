"""The form of a rule, and going through a table with rules.

A rule is a list of what may be wrong with a row, each a condition and a sentence. All of a rule is one statement, so what it
sees is of one moment, however busy the shop is. A table is gone through by primary key, a batch at a time, each in a
transaction of its own: memory stays bounded on both sides, and no statement takes long.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from paywindow.invariants import Tally
from paywindow.models.database import database, transaction
from paywindow.models.windows import LONGEST_POSTPONEMENT
from paywindow.states import HOLD_REASONS

BATCH = 500
#: How long what is due may wait for a sweep before it counts as forgotten, while the shop is at work.
PATIENCE = timedelta(minutes=5)
_VALUE = re.compile(r"\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Moment:
    """When, and what is expected: at ``at_rest`` nothing at all may be unfinished. ``told``: whether any sink is configured."""

    now: datetime
    at_rest: bool
    told: bool

    @property
    def overdue(self) -> datetime:
        """What was due by then and is not done has been forgotten."""
        return self.now if self.at_rest else self.now - PATIENCE

    def parameters(self) -> dict[str, Any]:
        """What the statements of rules may use."""
        return {
            "now": self.now,
            "overdue": self.overdue,
            "soon": self.now + PATIENCE,
            "postponed": self.now + LONGEST_POSTPONEMENT,
            "at_rest": self.at_rest,
            "told": self.told,
            "hold_reasons": sorted(HOLD_REASONS),
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be wrong with the rows of a batch (``it``), beside what ``joins`` adds.

    ``wrong``: conditions and what to say where one is true, with values in braces, such as ``{it.status}``. ``about``: which
    rows the rule is about; only these count as checked. ``subject``: whose id is told.
    """

    invariant: str
    wrong: tuple[tuple[str, str], ...]
    joins: str = ""
    about: str = "true"
    subject: str = "it.id"

    def statement(self, scan: "Scan") -> str:
        """The rule as SQL: a row for each violation, each with how many rows were checked; one without a subject if none."""
        cases = ", ".join(f"CASE WHEN {condition} THEN {_sentence(says)} END" for condition, says in self.wrong)
        return f"""
            WITH it AS (SELECT * FROM {scan.table} WHERE id = ANY(%(ids)s::{scan.type}[])),
            judged AS (
                SELECT {self.subject}::text AS subject, concat_ws('; ', {cases}) AS detail
                FROM it {self.joins} WHERE {self.about}
            )
            SELECT (SELECT count(*) FROM judged), wrong.subject, wrong.detail
            FROM (SELECT) AS once LEFT JOIN judged AS wrong ON wrong.detail <> ''
        """  # noqa: S608 - all parts are constants of this package


@dataclass(frozen=True, slots=True)
class Scan:
    """A table, or those of its rows that meet ``condition``, and the rules about them. ``type``: that of its column ``id``."""

    table: str
    rules: tuple[Rule, ...]
    type: str = "uuid"
    condition: str = "true"
    first: Any = field(default="00000000-0000-0000-0000-000000000000")

    def count(self) -> int:
        """About how many rows there are, for showing progress: Postgres' own estimate where the whole table is meant."""
        with transaction():
            if self.condition != "true":
                query = f"SELECT count(*) FROM {self.table} WHERE {self.condition}"  # noqa: S608
                return int(database.execute_sql(query).fetchone()[0])
            query = "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %s::regclass"
            return int(database.execute_sql(query, (self.table,)).fetchone()[0])


def go_through(scan: Scan, moment: Moment, tallies: dict[str, Tally]) -> Iterator[int]:
    """Apply a scan's rules to all its rows, adding to ``tallies``; yields how many rows each batch had."""
    parameters = moment.parameters()
    after = scan.first
    page = f"SELECT id FROM {scan.table} WHERE id > %s AND ({scan.condition}) ORDER BY id LIMIT {BATCH}"  # noqa: S608
    while True:
        with transaction():
            ids = [row[0] for row in database.execute_sql(page, (after,)).fetchall()]
            for rule in scan.rules if ids else ():
                tallies[rule.invariant].add(*_apply(rule, scan, {**parameters, "ids": [str(each) for each in ids]}))
        if not ids:
            return
        yield len(ids)
        after = ids[-1]


def _apply(rule: Rule, scan: Scan, parameters: dict[str, Any]) -> tuple[int, Sequence[tuple[str, str]]]:
    rows = database.execute_sql(rule.statement(scan), parameters).fetchall()
    return rows[0][0], [(subject, detail) for _, subject, detail in rows if subject is not None]


def _sentence(says: str) -> str:
    """A sentence with values in braces as SQL text; a value that is null leaves no gap in what is said."""
    parts = enumerate(_VALUE.split(says))
    return f"concat({', '.join(part if index % 2 else _literal(part) for index, part in parts)})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def awaits(actor: str, argument: str, value: str) -> str:
    """The condition that the outbox has a follow-up for ``actor`` about ``value``: it will be done."""
    return (
        f"EXISTS (SELECT FROM outbox WHERE outbox.actor = '{actor}' "
        f"""AND outbox.arguments::json ->> '{argument}' = {value}::text)"""
    )
