"""``paywindow pci-scan``: look for card numbers in the database now, as the workers do once a day."""

from typing import Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from paywindow.cli.connections import read_database
from paywindow.cli.exits import Exit
from paywindow.cli.output import AsJson, Column, console, emit, say, table

_COLUMNS = (Column("table"), Column("column"), Column("row", folds=True), Column("last four"))
#: Finds that are shown; ``--json`` has all.
_SHOWN = 100


def pci_scan(as_json: AsJson = False) -> None:
    """Search all texts in the database for card numbers; ends with code 1 when there are any.

    Only reads, a page at a time. It says where a number is, and its last four digits, never the number. What looks like one
    and is none, a number that passes the check by chance, is for you to judge.
    """
    read_database()
    body = _search(quiet=as_json)
    emit(body, as_json, lambda: _print(body))
    if body["findings"]:
        raise typer.Exit(Exit.REFUSED)


def _search(*, quiet: bool) -> dict[str, Any]:
    from paywindow.models import card_scans
    from paywindow.models.database import transaction

    with transaction():
        sources, estimated = card_scans.sources(), card_scans.rows_estimated()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    rows = 0
    finds: list[card_scans.Find] = []
    with Progress(*columns, console=console(stderr=True), disable=quiet) as progress:
        # An empty table is a step, too.
        task = progress.add_task("", total=sum(estimated.get(source.table, 0) + 1 for source in sources))
        for source in sources:
            progress.update(task, description=source.table)
            after, read = None, 0
            while True:
                with transaction():
                    page = card_scans.read(source, after)
                read, after = read + page.rows, page.after
                finds += page.finds
                progress.advance(task, min(page.rows, max(estimated.get(source.table, 0) - read + page.rows, 0)))
                if after is None:
                    break
            progress.advance(task, max(estimated.get(source.table, 0) - read, 0) + 1)
            rows += read
    return {
        "tables": len(sources),
        "rows": rows,
        "findings": [
            {"table": find.table, "column": find.column, "row": find.row, "lastFour": find.last_four} for find in finds
        ],
    }


def _print(body: dict[str, Any]) -> None:
    say(f"{body['rows']} rows of {body['tables']} tables searched")
    found = body["findings"]
    table(_COLUMNS, [tuple(each.values()) for each in found[:_SHOWN]], empty="No card numbers are in the database.")
    if len(found) > _SHOWN:
        say(f"and {len(found) - _SHOWN} more; --json shows all")
