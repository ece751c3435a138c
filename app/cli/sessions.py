"""``paywindow sessions``: look at a payment session, and override it.

Overrides go the way of the API: an operation is enqueued for the workers, and its outcome is waited for. The audit names
the operator.
"""

import getpass
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import redis
import typer
from dramatiq import Message
from rich.console import Console
from rich.table import Table

from paywindow import ids, jsons, messages
from paywindow.published import Outcome, operation_key
from paywindow.settings import Role, Settings, secret

app = typer.Typer(help="Payment sessions.", no_args_is_help=True)

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05

Id = Annotated[uuid.UUID, typer.Argument(help="The payment session's id.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail and announced.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MinutesOption = Annotated[int | None, typer.Option(min=1, help="By how many minutes.")]
Until = Annotated[datetime | None, typer.Option(help="Until when (UTC).", formats=["%Y-%m-%dT%H:%M:%SZ"])]


@app.command()
def show(session_id: Id, as_json: AsJson = False) -> None:
    """Show how a session stands, with all its attempts and transitions."""
    found = report(session_id)
    if as_json:
        typer.echo(jsons.dumps(found))
    else:
        _print(found)


@app.command()
def expire(session_id: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Close the window now."""
    _override("window.expire", session_id, {"reason": reason}, as_json)


@app.command()
def extend(
    session_id: Id, reason: Reason, minutes: MinutesOption = None, until: Until = None, as_json: AsJson = False
) -> None:
    """Move the deadline of an open window."""
    _override("window.extend", session_id, {"reason": reason, **_moment(minutes, until)}, as_json)


@app.command()
def reopen(
    session_id: Id, reason: Reason, minutes: MinutesOption = None, until: Until = None, as_json: AsJson = False
) -> None:
    """Open an expired window again, unless its auction is taken."""
    _override("window.reopen", session_id, {"reason": reason, **_moment(minutes, until)}, as_json)


@app.command()
def cancel(session_id: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Call the sale off."""
    _override("checkout.cancel", session_id, {"reason": reason}, as_json)


@app.command("grant-retry")
def grant_retry(session_id: Id, reason: Reason, as_json: AsJson = False) -> None:
    """Allow a failed payment one more try."""
    _override("payment.grant_retry", session_id, {"reason": reason}, as_json)


def _moment(minutes: int | None, until: datetime | None) -> dict[str, Any]:
    if (minutes is None) == (until is None):
        raise typer.BadParameter("give either --minutes or --until")
    return {"minutes": minutes, "until": until.replace(tzinfo=UTC).isoformat() if until else None}


def report(session_id: uuid.UUID) -> dict[str, Any]:
    """Everything about a session. Ends the command when there is none."""
    from paywindow.models import database
    from paywindow.models.audit import session_report

    database.connect_to_read(secret(Settings.load(Role.MIGRATE).database_url))
    with database.transaction():
        found = session_report(session_id)
    if found is None:
        typer.echo(f"There is no payment session {session_id}.", err=True)
        raise typer.Exit(1)
    return found


def _override(actor: str, session_id: uuid.UUID, request: dict[str, Any], as_json: bool) -> None:
    tell(command(actor, session_id, request), as_json)


def command(actor: str, session_id: uuid.UUID, request: dict[str, Any]) -> Outcome:
    """Have the workers carry out a command, and wait for its outcome. Ends the command when none comes."""
    settings = Settings.load(Role.SCHEDULER)
    request = {"session_id": str(session_id), **request}
    client = f"cli:{getpass.getuser()}"
    operation_id = ids.operation_id(client, None)
    message = messages.command(actor, operation_id, client, ids.fingerprint(actor, request), request)
    outcome = await_outcome(settings, message, operation_id)
    if outcome is None:
        typer.echo(
            f"No worker answered in {_PATIENCE_SECONDS:.0f} s; operation {operation_id} may still happen.", err=True
        )
        raise typer.Exit(3)
    return outcome


def tell(outcome: Outcome, as_json: bool) -> None:
    """Print how the session stands now, or why not, and end."""
    if as_json:
        typer.echo(jsons.dumps(outcome.body))
    elif outcome.status < 400:
        session = outcome.body["paymentSession"]
        typer.echo(f"{session['id']} is {session['status']}, expires {session['expiresAt']}")
    end(outcome, as_json)


def end(outcome: Outcome, as_json: bool) -> None:
    """A refused command says why, unless that is printed already, and ends with code 1."""
    if outcome.status >= 400:
        if not as_json:
            typer.echo(f"refused ({outcome.body['code']}): {outcome.body['detail']}", err=True)
        raise typer.Exit(1)


def await_outcome(settings: Settings, message: Message[Any], operation_id: uuid.UUID) -> Outcome | None:
    """Enqueue a command for the workers and wait for its outcome; ``None`` when that takes too long."""
    from paywindow.broker import make_broker

    make_broker(secret(settings.redis_url)).enqueue(message)
    state = redis.Redis.from_url(settings.state_url, socket_timeout=5)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        text = state.get(operation_key(operation_id))
        if text is not None:
            return Outcome.decode(text)
        time.sleep(_POLL_SECONDS)
    return None


def _print(report: dict[str, Any]) -> None:
    console = Console()
    session = report["session"]
    console.print(f"[bold]{session['id']}[/bold]  {session['status']}  {session['amount']} {session['currency']}")
    console.print(f"auction {session['auctionId']}, buyer {session['buyerId']}, expires {session['expiresAt']}")
    for title in ("Attempts", "Charges", "Refunds", "Audit"):
        rows = report[title.lower()]
        if rows:
            table = Table(*rows[0], title=title, title_justify="left")
            for row in rows:
                table.add_row(*("" if value is None else str(value) for value in row.values()))
            console.print(table)
