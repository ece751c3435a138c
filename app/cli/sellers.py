"""``paywindow sellers``: look at a maker's account at Stripe, and mint an onboarding link for it."""

import getpass
import uuid
from typing import Annotated, Any

import typer

from paywindow import ids, jsons, messages
from paywindow.cli.sessions import await_outcome
from paywindow.settings import Role, Settings, secret

app = typer.Typer(help="Sellers' accounts at Stripe.", no_args_is_help=True)

Maker = Annotated[uuid.UUID, typer.Argument(help="The maker's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(maker_id: Maker, as_json: AsJson = False) -> None:
    """Show what a maker's account can do, and what Stripe still wants to know."""
    from paywindow.models import database, sellers

    database.connect_to_read(secret(Settings.load(Role.MIGRATE).database_url))
    with database.transaction():
        row = sellers.of_maker(maker_id)
        account = None if row is None else sellers.public(row)
    if account is None:
        typer.echo(f"The maker {maker_id} has no account.", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(jsons.dumps(account))
    else:
        _print(account)


@app.command()
def link(
    maker_id: Maker,
    country: Annotated[str | None, typer.Option(help="For a new account: ISO 3166-1 alpha-2.")] = None,
    email: Annotated[str | None, typer.Option(help="For a new account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open the maker's account if there is none, and print a link to Stripe's onboarding, good once and for minutes."""
    settings = Settings.load(Role.SCHEDULER)
    if settings.seller_return_url is None or settings.seller_refresh_url is None:
        raise typer.BadParameter(
            "SELLER_RETURN_URL and SELLER_REFRESH_URL say where the seller goes afterwards: set both"
        )
    request = {
        "maker_id": str(maker_id),
        "country": country,
        "email": email,
        "return_url": settings.seller_return_url,
        "refresh_url": settings.seller_refresh_url,
    }
    client = f"cli:{getpass.getuser()}"
    operation_id = ids.operation_id(client, None)
    message = messages.link_seller(operation_id, client, ids.fingerprint("sellers.link", request), request)
    outcome = await_outcome(settings, message, operation_id)
    if outcome is None:
        typer.echo(f"No worker answered in time; operation {operation_id} may still happen.", err=True)
        raise typer.Exit(3)
    if as_json:
        typer.echo(jsons.dumps(outcome.body))
    elif outcome.status < 400:
        typer.echo(outcome.body["onboarding"]["url"])
    else:
        typer.echo(f"refused ({outcome.body['code']}): {outcome.body['detail']}", err=True)
    if outcome.status >= 400:
        raise typer.Exit(1)


def _print(account: dict[str, Any]) -> None:
    able = ", ".join(name for name in ("chargesEnabled", "payoutsEnabled") if account[name]) or "nothing yet"
    typer.echo(f"{account['makerId']} is {account['stripeAccountId'] or 'not connected'}: {able}")
    if account["missing"]:
        typer.echo(f"missing: {', '.join(account['missing'])}")
    if due := account["requirements"]["currentlyDue"]:
        by = account["requirements"]["currentDeadline"]
        typer.echo(f"Stripe wants{f' by {by}' if by else ''}: {', '.join(due)}")
