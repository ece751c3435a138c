"""``paywindow dead``: dead letters, for operators."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paywindow import jsons
from paywindow.cli.asking import Yes, confirm
from paywindow.cli.connections import open_redis
from paywindow.cli.output import AsJson, Column, emit, facts, heading, say, table, when
from paywindow.clock import isoformat
from paywindow.errors import Problem
from paywindow.settings import Role, Settings, secret

if TYPE_CHECKING:
    from paywindow.dead_letters import DeadLetter, DeadLetters

app = typer.Typer(help="Messages whose actor failed for good.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The dead letter's id, as listed.")]
_COLUMNS = (
    Column("id"),
    Column("actor"),
    Column("died at", optional=True),
    Column("queue", optional=True),
    Column("error", folds=True),
)


@app.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List them, oldest first in each queue."""
    letters = list(_open().all())
    rows = [(letter.id, letter.actor, when(letter.died_at), letter.queue, letter.error) for letter in letters]
    emit(
        {"deadLetters": [_plain(letter) for letter in letters]},
        as_json,
        lambda: table(_COLUMNS, rows, empty="There are no dead letters."),
    )


@app.command()
def show(letter_id: Id, as_json: AsJson = False) -> None:
    """Show what a message asked for and why it failed."""
    letter = _find(_open(), letter_id)
    emit(_plain(letter), as_json, lambda: _print(letter))


@app.command()
def run(letter_id: Id, as_json: AsJson = False) -> None:
    """Put a message back into its queue."""
    letters = _open()
    letter = _find(letters, letter_id)
    if not letters.run_again(letter):
        raise _gone(letter_id)
    emit({**_plain(letter), "queued": True}, as_json, lambda: say(f"{letter_id} is queued again"))


@app.command()
def discard(letter_id: Id, yes: Yes = False, as_json: AsJson = False) -> None:
    """Forget a message for good."""
    letters = _open()
    letter = _find(letters, letter_id)
    confirm(f"Forget {letter.actor} {jsons.dumps(letter.arguments)}?", yes)
    if not letters.discard(letter):
        raise _gone(letter_id)
    emit({**_plain(letter), "discarded": True}, as_json, lambda: say(f"{letter_id} is discarded"))


def _open() -> "DeadLetters":
    from paywindow.dead_letters import DeadLetters

    return DeadLetters(open_redis(secret(Settings.load(Role.SCHEDULER).redis_url)))


def _find(letters: "DeadLetters", letter_id: str) -> "DeadLetter":
    letter = letters.find(letter_id)
    if letter is None:
        raise _gone(letter_id)
    return letter


def _gone(letter_id: str) -> Problem:
    return Problem("not_found", f"There is no dead letter {letter_id}.")


def _plain(letter: "DeadLetter") -> dict[str, Any]:
    known = asdict(letter)
    del known["died_at"]
    return {**known, "diedAt": isoformat(letter.died_at), "error": letter.error}


def _print(letter: "DeadLetter") -> None:
    facts(
        {
            "id": letter.id,
            "actor": letter.actor,
            "queue": letter.queue,
            "died at": when(letter.died_at),
            "tries": letter.retries,
            "error": letter.error,
        }
    )
    heading("It asked for")
    say(jsons.indented(letter.arguments))
    heading("Traceback")
    say(letter.traceback or "None was recorded: the error is in the worker's log.")
