"""``paywindow sessions refund`` and ``resolve``: what moves money asks before it does."""

from typing import Annotated

import typer

from paywindow import jsons
from paywindow.cli import sessions
from paywindow.cli.sessions import AsJson, Id, Reason

Amount = Annotated[str | None, typer.Option(help="How much, in the payment's currency; left out: all that is left.")]
Release = Annotated[bool, typer.Option("--release-auction", help="Set the auction free once all has gone back.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Decision = Annotated[str, typer.Argument(help="accept: keep the money; refund: give it back.")]


def refund(
    session_id: Id,
    reason: Reason,
    amount: Amount = None,
    release_auction: Release = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give the payment back that settled a session, wholly or in part."""
    session = sessions.report(session_id)["session"]
    paid = amount or "what is left"
    _confirm(f"Refund {paid} of {session['amount']} {session['currency']} to buyer {session['buyerId']}?", yes)
    request = {"transaction_id": None, "amount": amount, "reason": reason, "release_auction": release_auction}
    outcome = sessions.command("payment.refund", session_id, request)
    if as_json:
        typer.echo(jsons.dumps(outcome.body))
    elif outcome.status < 400:
        made = outcome.body["refund"]
        typer.echo(f"refund {made['id']} of {made['amount']} {made['currency']} is {made['status']}")
    sessions.end(outcome, as_json)


def resolve(session_id: Id, decision: Decision, reason: Reason, yes: Yes = False, as_json: AsJson = False) -> None:
    """End a hold: keep the money, or give it back."""
    if decision not in ("accept", "refund"):
        raise typer.BadParameter("must be accept or refund")
    hold = sessions.report(session_id)["session"]["hold"]
    _confirm(f"The session is held ({hold['reason'] if hold else 'no'}). {decision.capitalize()} the money?", yes)
    outcome = sessions.command("payment.resolve", session_id, {"reason": reason, "decision": decision})
    sessions.tell(outcome, as_json)


def _confirm(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        typer.echo("nothing was done", err=True)
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to ``paywindow sessions``."""
    app.command()(refund)
    app.command()(resolve)
