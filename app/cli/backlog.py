"""``paywindow backlog``: what is not done yet, in Postgres and in the queues, and what of it is overdue."""

from typing import Annotated, Any

import typer

from paywindow import clock
from paywindow.backlog_kinds import BacklogKind
from paywindow.cli.connections import open_redis, read_database
from paywindow.cli.exits import Exit
from paywindow.cli.output import AsJson, Column, emit, heading, table, when
from paywindow.settings import Role, secret

_SUMMARY = (
    Column("work"),
    Column("waiting", right=True),
    Column("overdue", right=True),
    Column("oldest since"),
)
_QUEUES = (Column("queue"), Column("messages", right=True), Column("delayed", right=True), Column("dead", right=True))
_ROWS = (
    Column("id"),
    Column("since"),
    Column("tries", right=True, optional=True),
    Column("state", optional=True),
    Column("what", folds=True),
)


def backlog(
    kind: Annotated[
        BacklogKind | None, typer.Argument(help="List this work, what waits longest first; else count all of it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many rows to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what waits to be done, in Postgres and in the queues. Ends with 1 when something is overdue.

    Workers and sweeps do it by themselves. What is overdue by five minutes they cannot do, or are not there to do:
    `paywindow doctor` says which. Parked events, holds, held refunds, refused shares of sellers and disputes wait for a person.
    """
    settings = read_database(Role.OPERATOR)
    from paywindow.models import backlog as books
    from paywindow.models import database

    with database.transaction():
        if kind is not None:
            found = books.rows(kind, clock.now(), limit)
            body: dict[str, Any] = {"kind": kind.value, "rows": found}
            late = any(row["overdue"] for row in found)
        else:
            counted = books.summary(clock.now())
            late = any(each["overdue"] for each in counted)
            body = {"work": counted, "queues": _queues(secret(settings.redis_url))}
    emit(body, as_json, lambda: _print_rows(body) if kind else _print_summary(body))
    if late:
        raise typer.Exit(Exit.REFUSED)


def _queues(url: str) -> list[dict[str, Any]]:
    """Messages of each queue: waiting or being worked on, delayed, and dead."""
    from paywindow.dead_letters import NAMESPACE, DeadLetters
    from paywindow.messages import Queue

    client = open_redis(url)
    dead = DeadLetters(client).count()
    return [
        {
            "queue": queue.value,
            "messages": client.hlen(f"{NAMESPACE}:{queue}.msgs"),
            "delayed": client.hlen(f"{NAMESPACE}:{queue}.DQ.msgs"),
            "dead": dead[queue.value],
        }
        for queue in Queue
    ]


def _print_summary(body: dict[str, Any]) -> None:
    work = [(each["kind"], each["waiting"], each["overdue"], when(each["oldest"])) for each in body["work"]]
    table(_SUMMARY, work, empty="")
    heading("Queues")
    table(_QUEUES, [tuple(each.values()) for each in body["queues"]], empty="")


def _print_rows(body: dict[str, Any]) -> None:
    rows = [
        (
            row["id"],
            when(row["since"]),
            row["tries"],
            "overdue" if row["overdue"] else "",
            f"{row['what']}: {row['error']}" if row["error"] else row["what"],
        )
        for row in body["rows"]
    ]
    table(_ROWS, rows, empty="Nothing waits.")
