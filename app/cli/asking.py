"""Asking before money moves, before a window closes, and before something is forgotten for good."""

import sys
from typing import Annotated

import typer

from paywindow.cli.exits import Exit

#: The option that answers the question beforehand.
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Go on only after a yes on the terminal, or with ``--yes``.

    Raises :class:`typer.BadParameter` (exit code 2) where there is no terminal to ask on, and :class:`typer.Exit` (code 1) after
    a no. The question goes to stderr, so that stdout stays clean.
    """
    if yes:
        return
    if not _has_terminal():
        raise typer.BadParameter("there is no terminal to ask on; --yes does it without asking")
    if not typer.confirm(question, err=True):
        typer.echo("Nothing was done.", err=True)
        raise typer.Exit(Exit.REFUSED)


def _has_terminal() -> bool:
    return sys.stdin.isatty()
