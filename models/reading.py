"""Reading whole rows by SQL whose text is made once.

Peewee writes a query's text anew each time: for a table of forty columns that takes longer than Postgres needs to answer, and
was a third of the workers' CPU. What is read with every message is read through here.
"""

from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from paywindow.models.database import Table

T = TypeVar("T", bound=Table)


def read_all(table: type[T], clause: str, *values: Any) -> list[T]:
    """The rows that a clause selects. ``clause``: SQL that follows the table's name, with a ``%s`` for each value."""
    return list(
        table.raw(f"{_select(table)} {clause}", *(str(each) if isinstance(each, UUID) else each for each in values))
    )


def read_one(table: type[T], clause: str, *values: Any) -> T | None:
    """The first of them, if there is one."""
    return next(iter(read_all(table, clause, *values)), None)


@cache
def _select(table: type[Table]) -> str:
    meta: Any = table._meta
    columns = ", ".join(f'"{field.column_name}"' for field in meta.sorted_fields)
    return f'SELECT {columns} FROM "{meta.table_name}"'  # noqa: S608 - names of ours alone
