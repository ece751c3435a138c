"""``paywindow notifications``: what the marketplace was told, whether it came there, and telling it again."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from paywindow import cursors, jsons
from paywindow.cli.commands import Key, perform
from paywindow.cli.connections import read_database
from paywindow.cli.output import AsJson, Column, emit, facts, heading, note, say, table, when
from paywindow.errors import Problem
from paywindow.notification_state import NotificationState

app = typer.Typer(help="Notifications to the marketplace: look at them, send them again.", no_args_is_help=True)

Id = Annotated[uuid.UUID, typer.Argument(help="The notification's id: webhook-id at the receiver.")]
Moment = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]
Reason = Annotated[str, typer.Option(help="Why; kept with the operation.")]

_COLUMNS = (
    Column("notification"),
    Column("type", folds=True),
    Column("state"),
    Column("created", optional=True),
    Column("session", optional=True),
    Column("error", optional=True, folds=True),
)
_DELIVERIES = (
    Column("sink", folds=True),
    Column("state"),
    Column("failed", right=True),
    Column("next try", optional=True),
    Column("ended", optional=True),
    Column("error", optional=True, folds=True),
)


@app.command("list")
def list_notifications(
    state: Annotated[
        NotificationState | None, typer.Option(help="Only those that got so far at any sink; dead: given up.")
    ] = None,
    session: Annotated[uuid.UUID | None, typer.Option(help="Only of this payment session.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type, such as payment.completed.")] = None,
    sink: Annotated[str | None, typer.Option(help="Only by how they fared at this URL or ARN.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Written at this moment (UTC) or later.", formats=Moment)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List notifications, newest first. Those that need an operator: --state dead."""
    _check(cursor)
    read_database()
    from paywindow.models import database, notification_lists

    with database.transaction():
        body = notification_lists.page(
            state=state,
            session_id=session,
            kind=kind,
            sink=sink,
            since=None if since is None else since.replace(tzinfo=UTC),
            cursor=cursor,
            limit=limit,
        )
    emit(body, as_json, lambda: _print_list(body))


@app.command()
def show(notification_id: Id, as_json: AsJson = False) -> None:
    """Show a notification: how each sink fared, and the body as it is sent."""
    read_database()
    from paywindow.models import database, notification_lists

    with database.transaction():
        found = notification_lists.report(notification_id)
    if found is None:
        raise Problem("not_found", f"There is no notification {notification_id}.")
    report: dict[str, Any] = found
    emit(report, as_json, lambda: _print_report(report))


@app.command()
def replay(
    notification_id: Id,
    reason: Reason,
    sink: Annotated[str | None, typer.Option(help="Only to this URL or ARN; else to all that are configured.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send a notification again, under the same id, from its first try on: for dead ones, and for a new receiver."""
    request = {"notification_id": str(notification_id), "sink": sink, "reason": reason}
    body = perform("notifications.replay", request, key)
    sinks = [way["sink"] for way in body["notification"]["deliveries"] if way["state"] == NotificationState.WAITING]
    emit(body, as_json, lambda: say(f"{notification_id} is sent again to {', '.join(sinks)}"))


def _check(cursor: str | None) -> None:
    if cursor is not None:
        try:
            cursors.decode(cursor)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--cursor") from None


def _print_list(body: dict[str, Any]) -> None:
    rows = [
        (each["id"], each["type"], each["state"], when(each["createdAt"]), each["sessionId"], _first_error(each))
        for each in body["notifications"]
    ]
    table(_COLUMNS, rows, empty="There are no such notifications.")
    if body["nextCursor"]:
        note(f"\nThere are more: --cursor {body['nextCursor']}")


def _first_error(notification: dict[str, Any]) -> str | None:
    return next((way["error"] for way in notification["deliveries"] if way["error"]), None)


def _print_report(report: dict[str, Any]) -> None:
    facts(
        {
            "notification": report["id"],
            "type": report["type"],
            "session": report["sessionId"],
            "state": report["state"],
            "created": when(report["createdAt"]),
        }
    )
    heading("Deliveries")
    rows = [
        (
            way["sink"],
            way["state"],
            way["failedTries"],
            when(way["nextTryAt"]),
            when(way["deliveredAt"] or way["deadAt"]),
            way["error"],
        )
        for way in report["deliveries"]
    ]
    table(_DELIVERIES, rows, empty="None: no sink was configured.")
    heading("Body")
    say(jsons.indented(report["body"]))
