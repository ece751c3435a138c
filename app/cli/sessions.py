"""``paywindow sessions``: find payment sessions, look at one, and override it.

Overrides go the way of the API: an operation is enqueued for the workers, and its outcome is waited for. The audit names
the operator.
"""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from paywindow import clock
from paywindow.cli import session_views
from paywindow.cli.asking import Yes, confirm
from paywindow.cli.commands import Key, Reason, perform
from paywindow.cli.connections import open_redis, read_database
from paywindow.cli.output import AsJson, emit, say, when
from paywindow.errors import Problem
from paywindow.settings import Role, Settings
from paywindow.states import Status

app = typer.Typer(help="Payment sessions: find, look at, override.", no_args_is_help=True)

Id = Annotated[uuid.UUID, typer.Argument(help="The payment session's id.")]
MinutesOption = Annotated[int | None, typer.Option(min=1, help="By how many minutes.")]
Until = Annotated[datetime | None, typer.Option(help="Until when (UTC).", formats=["%Y-%m-%dT%H:%M:%SZ"])]
Moment = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]


@app.command("list")
def list_sessions(
    status: Annotated[list[Status] | None, typer.Option(help="Only in this state; may be given several times.")] = None,
    auction: Annotated[uuid.UUID | None, typer.Option(help="Only of this auction.")] = None,
    buyer: Annotated[uuid.UUID | None, typer.Option(help="Only of this buyer.")] = None,
    maker: Annotated[uuid.UUID | None, typer.Option(help="Only of this maker.")] = None,
    held: Annotated[
        bool | None, typer.Option("--held/--not-held", help="Only those that wait for an operator, or only others.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Created at this moment (UTC) or later.", formats=Moment)
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Created before this moment (UTC).", formats=Moment)] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, newest first."""
    read_database()
    from paywindow.models import database, session_lists

    query = {
        "status": [each.value for each in status or []],
        "auction_id": auction,
        "buyer_id": buyer,
        "maker_id": maker,
        "held": held,
        "created_from": _utc(since),
        "created_before": _utc(until),
        "limit": limit,
        "cursor": _checked(cursor),
    }
    with database.transaction():
        body = session_lists.page(query)
    emit(body, as_json, lambda: session_views.print_list(body))


@app.command()
def show(session_id: Id, as_json: AsJson = False) -> None:
    """Show how a session stands and everything that happened to it, in order of time, with who and why."""
    found = report(session_id)
    emit(found, as_json, lambda: session_views.print_report(found))


@app.command()
def expire(session_id: Id, reason: Reason, yes: Yes = False, key: Key = None, as_json: AsJson = False) -> None:
    """Close the window now: the buyer can no longer pay, and the auction is free."""
    confirm(f"Close the window of {_described(session_id)}?", yes)
    _override("window.expire", session_id, {"reason": reason}, as_json, key)


@app.command()
def extend(
    session_id: Id,
    reason: Reason,
    minutes: MinutesOption = None,
    until: Until = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Move the deadline of an open window."""
    _override("window.extend", session_id, {"reason": reason, **_moment(minutes, until)}, as_json, key)


@app.command()
def reopen(
    session_id: Id,
    reason: Reason,
    minutes: MinutesOption = None,
    until: Until = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Open an expired window again, unless its auction is taken."""
    _override("window.reopen", session_id, {"reason": reason, **_moment(minutes, until)}, as_json, key)


@app.command()
def cancel(session_id: Id, reason: Reason, yes: Yes = False, key: Key = None, as_json: AsJson = False) -> None:
    """Call the sale off: the page is closed, the auction is free, and money that still arrives is not kept."""
    confirm(f"Call off {_described(session_id)}?", yes)
    _override("checkout.cancel", session_id, {"reason": reason}, as_json, key)


@app.command("grant-retry")
def grant_retry(session_id: Id, reason: Reason, key: Key = None, as_json: AsJson = False) -> None:
    """Allow a failed payment one more try."""
    _override("payment.grant_retry", session_id, {"reason": reason}, as_json, key)


def _moment(minutes: int | None, until: datetime | None) -> dict[str, Any]:
    if (minutes is None) == (until is None):
        raise typer.BadParameter("give either --minutes or --until")
    return {"minutes": minutes, "until": _utc(until)}


def report(session_id: uuid.UUID) -> dict[str, Any]:
    """Everything about a session. Raises :class:`Problem` when there is none."""
    read_database()
    from paywindow.models import database
    from paywindow.models.audit import session_report

    with database.transaction():
        found = session_report(session_id)
    if found is None:
        raise Problem("not_found", f"There is no payment session {session_id}.")
    return found


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else clock.isoformat(moment.replace(tzinfo=UTC))


def _checked(cursor: str | None) -> str | None:
    from paywindow import cursors

    if cursor is not None:
        try:
            cursors.decode(cursor)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--cursor") from None
    return cursor


def _override(
    actor: str, session_id: uuid.UUID, request: dict[str, Any], as_json: bool, key: str | None = None
) -> None:
    from paywindow.front import requests

    # The rules of the API, broken ones told by field, before anything is sent.
    validate = requests.move_deadline if {"minutes", "until"} & request.keys() else requests.override
    request = validate({name: value for name, value in request.items() if value is not None}).command()
    tell(perform(actor, {"session_id": str(session_id), **request}, key), as_json)


def tell(body: dict[str, Any], as_json: bool) -> None:
    """Print how the session stands now."""
    session = body["paymentSession"]
    emit(
        body, as_json, lambda: say(f"{session['id']} is {session['status']}, expires {when(session['expiresAt'])} UTC")
    )


def _described(session_id: uuid.UUID) -> str:
    """The session in words for a question, as far as it is published."""
    from paywindow import jsons
    from paywindow.published import session_key

    state = open_redis(Settings.load(Role.SCHEDULER).state_url)
    text: Any = state.hget(session_key(session_id), "service")
    if text is None:
        return f"payment session {session_id}"
    session = jsons.loads(text)["paymentSession"]
    return f"payment session {session_id} ({session['amount']} {session['currency']}, {session['status']})"
