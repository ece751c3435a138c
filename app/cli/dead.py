"""``paywindow dead``: dead letters, for operators."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import redis
import typer
from rich.console import Console
from rich.table import Table

from paywindow.dead_letters import DeadLetter, DeadLetters
from paywindow.settings import Role, Settings, secret

app = typer.Typer(help="Messages whose actor failed for good.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The dead letter's id, as listed.")]


@app.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List them, oldest first in each queue."""
    letters = list(_open().all())
    if as_json:
        typer.echo(json.dumps([_plain(letter) for letter in letters]))
        return
    table = Table("id", "died at", "queue", "actor", "error")
    for letter in letters:
        table.add_row(letter.id, f"{letter.died_at:%Y-%m-%d %H:%M:%S}", letter.queue, letter.actor, letter.error)
    Console().print(table if letters else "There are no dead letters.")


@app.command()
def show(letter_id: Id, as_json: AsJson = False) -> None:
    """Show what a message asked for and why it failed."""
    letter = _find(_open(), letter_id)
    if as_json:
        typer.echo(json.dumps(_plain(letter)))
        return
    typer.echo(
        f"{letter.actor} on {letter.queue}, died {letter.died_at:%Y-%m-%d %H:%M:%S} UTC after {letter.retries} tries"
    )
    typer.echo(json.dumps(letter.arguments, indent=2))
    typer.echo(letter.traceback or "No traceback was recorded: the error was permanent, and is in the worker's log.")


@app.command()
def run(letter_id: Id) -> None:
    """Put a message back into its queue."""
    letters = _open()
    if not letters.run_again(_find(letters, letter_id)):
        raise typer.Exit(1)
    typer.echo(f"{letter_id} is queued again")


@app.command()
def discard(letter_id: Id, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Forget a message for good."""
    letters = _open()
    letter = _find(letters, letter_id)
    if not yes:
        typer.confirm(f"Forget {letter.actor} {json.dumps(letter.arguments)}?", abort=True)
    if not letters.discard(letter):
        raise typer.Exit(1)
    typer.echo(f"{letter_id} is discarded")


def _open() -> DeadLetters:
    return DeadLetters(redis.Redis.from_url(secret(Settings.load(Role.SCHEDULER).redis_url), socket_timeout=5))


def _find(letters: DeadLetters, letter_id: str) -> DeadLetter:
    letter = letters.find(letter_id)
    if letter is None:
        typer.echo(f"There is no dead letter {letter_id}.", err=True)
        raise typer.Exit(1)
    return letter


def _plain(letter: DeadLetter) -> dict[str, Any]:
    return {**asdict(letter), "died_at": letter.died_at.isoformat(), "error": letter.error}
