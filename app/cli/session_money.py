"""``paywindow sessions refund`` and ``resolve``: what moves money asks before it does."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer

from paywindow.cli import sessions
from paywindow.cli.asking import Yes, confirm
from paywindow.cli.commands import Key, Reason, perform
from paywindow.cli.output import AsJson, emit, say
from paywindow.cli.sessions import Id


class Decision(StrEnum):
    """What becomes of held money."""

    ACCEPT = "accept"
    REFUND = "refund"


Amount = Annotated[str | None, typer.Option(help="How much, in the payment's currency; left out: all that is left.")]
Release = Annotated[bool, typer.Option("--release-auction", help="Set the auction free once all has gone back.")]
Choice = Annotated[Decision, typer.Argument(help="accept: keep the money; refund: give it back.")]

_MEANS = {Decision.ACCEPT: "Keep the held money, and complete the sale?", Decision.REFUND: "Give the held money back?"}


def refund(
    session_id: Id,
    reason: Reason,
    amount: Amount = None,
    release_auction: Release = False,
    yes: Yes = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Give the payment back that settled a session, wholly or in part."""
    from paywindow.front import requests

    document = {"sessionId": str(session_id), "reason": reason, "releaseAuction": release_auction}
    if amount is not None:
        document["amount"] = _decimal(amount)
    # The rules of the API, broken ones told by field, before anything is asked or sent.
    request = requests.refund_payment(document).command()
    session = sessions.report(session_id)["session"]
    paid = f"{session['amount']} {session['currency']}"
    confirm(f"Refund {amount or 'what is left'} of {paid} to buyer {session['buyerId']}?", yes)
    body = perform("payment.refund", request, key)
    made = body["refund"]
    emit(
        body,
        as_json,
        lambda: say(f"refund {made['id']} of {made['amount']} {made['currency']} is {made['status']}"),
    )


def resolve(
    session_id: Id, decision: Choice, reason: Reason, yes: Yes = False, key: Key = None, as_json: AsJson = False
) -> None:
    """End a hold: keep the money, or give it back."""
    from paywindow.front import requests

    request = requests.resolve_hold({"reason": reason, "decision": decision.value}).command()
    session = sessions.report(session_id)["session"]
    held = f"held for {session['hold']['reason']}" if session["hold"] else "not held"
    confirm(f"{_MEANS[decision]} ({session['amount']} {session['currency']}, {held})", yes)
    body = perform("payment.resolve", {"session_id": str(session_id), **request}, key)
    sessions.tell(body, as_json)


def _decimal(amount: str) -> Decimal:
    try:
        return Decimal(amount)
    except InvalidOperation:
        raise typer.BadParameter("must be a number, such as 275.50", param_hint="--amount") from None


def register(app: typer.Typer) -> None:
    """Add the commands to ``paywindow sessions``."""
    app.command()(refund)
    app.command()(resolve)
