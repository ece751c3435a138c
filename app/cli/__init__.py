"""The ``paywindow`` command. Each command imports what it needs when it runs: ``front`` must not load Postgres or Stripe.

How a command of an operator looks (CONTRIBUTING.md has an example):

* results go to stdout by :func:`paywindow.cli.output.emit`, with ``as_json: AsJson`` as last parameter; the JSON is one object,
  camelCase, the API's own where the API has one;
* what goes wrong is raised, as :class:`paywindow.errors.Problem`, never printed: :mod:`paywindow.cli.failures` does that, and
  :mod:`paywindow.cli.exits` lists the exit codes;
* what changes something goes through :func:`paywindow.cli.commands.perform`, with ``reason: Reason`` and ``key: Key``;
* what moves money, closes a window or forgets something asks first: :func:`paywindow.cli.asking.confirm`, with ``yes: Yes``.
"""

import typer

from paywindow.cli import (
    alive,
    backfill,
    backlog,
    dead,
    events,
    keys,
    local,
    notifications,
    pci_scan,
    processes,
    receipts,
    reconcile,
    sellers,
    session_money,
    sessions,
)
from paywindow.cli.doctor import command as doctor_command
from paywindow.cli.failures import Group

app = typer.Typer(
    cls=Group,
    help="Checkout and payment processing for auction marketplaces, with a deadline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
processes.register(app)
local.register(app)
reconcile.register(app)
session_money.register(sessions.app)
app.command()(alive.alive)
app.command()(doctor_command.doctor)
app.command()(backlog.backlog)
app.command()(backfill.backfill)
app.command("pci-scan")(pci_scan.pci_scan)
app.add_typer(sessions.app, name="sessions")
app.add_typer(receipts.app, name="receipts")
app.add_typer(sellers.app, name="sellers")
app.add_typer(events.app, name="events")
app.add_typer(notifications.app, name="notifications")
app.add_typer(dead.app, name="dead")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point."""
    app()
