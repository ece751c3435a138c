"""``paywindow sellers``: look at a maker's account at Stripe, and mint an onboarding link for it."""

import uuid
from typing import Annotated, Any

import typer

from paywindow.cli.commands import Key, perform
from paywindow.cli.connections import read_database
from paywindow.cli.output import AsJson, emit, facts, say
from paywindow.errors import Problem
from paywindow.settings import Role, Settings

app = typer.Typer(help="Sellers' accounts at Stripe.", no_args_is_help=True)

Maker = Annotated[uuid.UUID, typer.Argument(help="The maker's id.")]


@app.command()
def show(maker_id: Maker, as_json: AsJson = False) -> None:
    """Show what a maker's account can do, and what Stripe still wants to know."""
    read_database()
    from paywindow.models import database, sellers

    with database.transaction():
        row = sellers.of_maker(maker_id)
        account = None if row is None else sellers.public(row)
    if account is None:
        raise Problem("not_found", f"The maker {maker_id} has no account.")
    found = account
    emit(found, as_json, lambda: _print(found))


@app.command()
def link(
    maker_id: Maker,
    country: Annotated[str | None, typer.Option(help="For a new account: ISO 3166-1 alpha-2.")] = None,
    email: Annotated[str | None, typer.Option(help="For a new account.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Open the maker's account if there is none, and print a link to Stripe's onboarding, good once and for minutes."""
    from paywindow.front import requests
    from paywindow.front.urls import AllowList

    settings = Settings.load(Role.SCHEDULER)
    document = {name: value for name, value in (("country", country), ("email", email)) if value is not None}
    # The rules of the API, broken ones told by field, before anything is sent.
    request = requests.link_seller(document, AllowList.of(settings)).command(settings)
    body = perform("sellers.link", {"maker_id": str(maker_id), **request}, key)
    emit(body, as_json, lambda: say(body["onboarding"]["url"]))


def _print(account: dict[str, Any]) -> None:
    able = [name for name in ("chargesEnabled", "payoutsEnabled") if account[name]]
    requirements = account["requirements"]
    facts(
        {
            "maker": account["makerId"],
            "account": account["stripeAccountId"] or "not connected",
            "able to": ", ".join(able) or "nothing yet",
            "missing": ", ".join(account["missing"]),
            "Stripe wants": ", ".join(requirements["currentlyDue"]),
            "by": requirements["currentDeadline"] if requirements["currentlyDue"] else None,
        }
    )
