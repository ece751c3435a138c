"""The ``paywindow`` command. Each command imports what it needs when it runs: ``front`` must not load Postgres or Stripe."""

import typer

from paywindow.cli import dead, keys, local, processes, receipts, reconcile, session_money, sessions
from paywindow.settings import SettingsError

app = typer.Typer(
    help="Checkout and payment processing for auction marketplaces, with a deadline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
processes.register(app)
local.register(app)
reconcile.register(app)
session_money.register(sessions.app)
app.add_typer(sessions.app, name="sessions")
app.add_typer(receipts.app, name="receipts")
app.add_typer(dead.app, name="dead")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point. Settings that cannot be used end with code 2 and one line a problem, not with a traceback."""
    try:
        app()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None
