"""``paywindow events``: the inbox of Stripe's events: what came, what became of it, and handling it again."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from paywindow import jsons
from paywindow.cli.asking import Yes, confirm
from paywindow.cli.commands import Key, perform
from paywindow.cli.connections import read_database
from paywindow.cli.output import AsJson, Column, emit, facts, heading, note, say, table, when
from paywindow.errors import Problem
from paywindow.event_state import EventState

app = typer.Typer(help="The inbox of Stripe's events: look at them, handle them again.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Stripe's id of the event.")]
Moment = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]
Reason = Annotated[str, typer.Option(help="Why; kept with the operation.")]

_COLUMNS = (
    Column("event"),
    Column("type", folds=True),
    Column("state"),
    Column("received", optional=True),
    Column("tries", optional=True, right=True),
    Column("error", optional=True, folds=True),
)


@app.command("list")
def list_events(
    state: Annotated[EventState | None, typer.Option(help="Only those that got so far.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type, such as charge.succeeded.")] = None,
    about: Annotated[
        str | None, typer.Option(help="Only about this object of Stripe's: pi_..., cs_..., ch_..., re_...")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Received at this moment (UTC) or later.", formats=Moment)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List events, newest first. Those that need an operator: --state parked, and --state unknown_type."""
    read_database()
    from paywindow.models import database, event_lists

    with database.transaction():
        body = event_lists.page(
            state=state,
            kind=kind,
            about=about,
            since=None if since is None else since.replace(tzinfo=UTC),
            cursor=cursor,
            limit=limit,
        )
    emit(body, as_json, lambda: _print_list(body))


@app.command()
def show(event_id: Id, as_json: AsJson = False) -> None:
    """Show an event: how its handling ended, and its body as Stripe sent it."""
    read_database()
    from paywindow.models import database, event_lists

    with database.transaction():
        found = event_lists.report(event_id)
    if found is None:
        raise Problem("not_found", f"There is no event {event_id} in the inbox.")
    report: dict[str, Any] = found
    emit(report, as_json, lambda: _print_event(report))


@app.command()
def replay(event_id: Id, reason: Reason, yes: Yes = False, key: Key = None, as_json: AsJson = False) -> None:
    """Handle an event again, as if it had just come: for parked ones, and after an update that knows more types.

    What it says was done already is not done twice.
    """
    confirm(f"Handle {event_id} again? It may settle, refund or close what it is about.", yes)
    body = perform("events.replay", {"event_id": event_id, "reason": reason}, key)
    event = body["event"]
    ended = event["state"] if event["error"] is None else f"{event['state']}: {event['error']}"
    emit(body, as_json, lambda: say(f"{event['id']} {event['type']}: {ended}"))
    if event["handledAt"] is None:
        raise typer.Exit(1)


def _print_list(body: dict[str, Any]) -> None:
    rows = [
        (event["id"], event["type"], event["state"], when(event["receivedAt"]), event["tries"], event["error"])
        for event in body["events"]
    ]
    table(_COLUMNS, rows, empty="There are no such events.")
    if body["nextCursor"]:
        note(f"\nThere are more: --cursor {body['nextCursor']}")


def _print_event(report: dict[str, Any]) -> None:
    facts(
        {
            "event": report["id"],
            "type": report["type"],
            "state": report["state"],
            "error": report["error"],
            "tries": report["tries"],
            "session": report["session"],
            "payment": report["payment"],
            "object": report["object"],
            "account": report["account"],
            "created": when(report["createdAt"]),
            "received": when(report["receivedAt"]),
            "handled": when(report["handledAt"]),
            "parked": when(report["parkedAt"]),
            "next try": when(report["nextTryAt"]),
        }
    )
    heading("Body")
    say(jsons.indented(report["body"]) if report["body"] is not None else "It is no longer kept.")
