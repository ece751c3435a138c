"""``paywindow doctor --audit``: is everything as it must be, whatever has crashed? One line an invariant, then what is wrong."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from paywindow.cli.exits import Exit
from paywindow.cli.output import Column, console, emit, heading, say, table
from paywindow.cli.reconcile import connect, patiently
from paywindow.errors import Problem, StripeRefused, StripeUnavailable
from paywindow.invariants import INVARIANTS, Tally
from paywindow.receipts.storage import StorageUnavailable

if TYPE_CHECKING:
    from paywindow.actors.auditor import Audit
    from paywindow.actors.auditor import Progress as Tell

#: Violations of one invariant that are shown; ``--json`` has more.
_SHOWN = 20

_SUMMARY = (
    Column("invariant"),
    Column("checked", right=True),
    Column("violations", right=True),
    Column("level"),
)
_VIOLATIONS = (Column("about"), Column("what is wrong", folds=True))


def run_audit(*, at_rest: bool, as_json: bool) -> None:
    """Look at everything and print what was found. Raises :class:`typer.Exit` when something is wrong."""
    connect()
    from paywindow.actors.auditor import audit
    from paywindow.actors.reconcile import step

    def compare(run_id: uuid.UUID) -> bool:
        return patiently(lambda: step(run_id))

    try:
        with _shown(quiet=as_json) as progress:
            found = audit(at_rest=at_rest, progress=progress, compare=compare)
    except (StripeUnavailable, StorageUnavailable) as error:
        raise Problem("unavailable", f"The audit could not be finished: {error}") from None
    except StripeRefused as error:
        raise Problem("stripe_refused", f"The audit could not be finished: {error}") from None
    emit(_report(found, at_rest), as_json, lambda: _print(found))
    if not found.sound:
        raise typer.Exit(Exit.REFUSED)


@contextmanager
def _shown(*, quiet: bool) -> "Iterator[Tell]":
    """Show on stderr how far each part has come."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console(stderr=True), disable=quiet, transient=True) as shown:

        def tell(part: str, done: int, whole: int | None) -> None:
            if part not in tasks:
                tasks[part] = shown.add_task(part)
            shown.update(tasks[part], completed=done, total=None if whole is None else max(whole, done))

        yield tell


def _report(found: "Audit", at_rest: bool) -> dict[str, Any]:
    return {
        "ok": found.sound,
        "atRest": at_rest,
        "invariants": [
            {"invariant": each.invariant, "checked": each.checked, "violations": each.violated}
            for each in found.tallies.values()
        ],
        "violations": [
            {"invariant": each.invariant, "subject": each.subject, "detail": each.detail} for each in found.violations
        ],
    }


def _print(found: "Audit") -> None:
    rows = [
        (each.invariant, each.checked, each.violated, "fail" if each.violated else "ok")
        for each in found.tallies.values()
    ]
    table(_SUMMARY, rows, empty="")
    for tally in found.tallies.values():
        if tally.violated:
            _explain(tally)
    violated = sum(tally.violated for tally in found.tallies.values())
    say("\nEverything is as it must be." if found.sound else f"\n{violated} violations")


def _explain(tally: Tally) -> None:
    heading(f"{tally.invariant} ({tally.violated})")
    say(INVARIANTS[tally.invariant].holds)
    table(_VIOLATIONS, [(each.subject, each.detail) for each in tally.violations[:_SHOWN]], empty="")
    if tally.violated > _SHOWN:
        say(f"and {tally.violated - _SHOWN} more; --json shows up to {len(tally.violations)}")
    say(f"→ {INVARIANTS[tally.invariant].advice}")
