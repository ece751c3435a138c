"""``paywindow reconcile``: compare the books with Stripe now, say what disagrees, and mend what can be mended.

It makes the same steps as the daily comparison, in its own process, within the sweeps' share of Stripe's rate limit.
"""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from paywindow import clock
from paywindow.cli.asking import Yes, confirm
from paywindow.cli.connections import client_name
from paywindow.cli.output import AsJson, Column, console, emit, heading, say, table
from paywindow.clock import isoformat
from paywindow.discrepancies import DISCREPANCIES
from paywindow.errors import Problem, StripeRefused, StripeUnavailable
from paywindow.settings import Role, Settings, secret

_FORMATS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]
#: Findings of one code that are shown; ``--json`` has all.
_SHOWN = 20
_PAUSE_SECONDS = 0.1
#: Stripe not answering is waited out this often, each time after twice the wait.
_TRIES = 5

Since = Annotated[datetime | None, typer.Option(help="From when (UTC); 31 days back if left out.", formats=_FORMATS)]
Until = Annotated[
    datetime | None, typer.Option(help="Until when (UTC); two minutes ago if left out.", formats=_FORMATS)
]
Repair = Annotated[bool, typer.Option("--repair/--dry-run", help="Mend what the money rules decide, or only look.")]

_COLUMNS = (
    Column("about"),
    Column("session", optional=True),
    Column("here", folds=True),
    Column("at Stripe", folds=True),
    Column("outcome"),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reconcile)


def reconcile(
    since: Since = None, until: Until = None, repair: Repair = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Compare the books with Stripe; ends with code 1 when they disagree. To mend moves money where the rules say so."""
    if repair:
        confirm("Book what is missing, and give back what the money rules give back?", yes)
    settings = connect()
    run_id, start, end = _start(settings, since, until, repairs=repair)
    try:
        _run(run_id, start, end, quiet=as_json)
    except StripeUnavailable as error:
        raise Problem("unavailable", f"The comparison could not be finished: {error}") from None
    except StripeRefused as error:
        raise Problem("stripe_refused", f"The comparison could not be finished: {error}") from None
    report = _report(run_id)
    emit(report, as_json, lambda: _print(report))
    if report["findings"]:
        raise typer.Exit(1)


def connect() -> Settings:
    """Connect the process as a worker is, to make steps of the comparison itself."""
    from paywindow.actors import registry, runtime
    from paywindow.broker import make_broker

    settings = Settings.load(Role.WORKER)
    runtime.start(settings, make_broker(secret(settings.redis_url)))
    registry.functions()
    return settings


def _start(
    settings: Settings, since: datetime | None, until: datetime | None, *, repairs: bool
) -> tuple[uuid.UUID, datetime, datetime]:
    from paywindow.actors.reconcile import FIRST_STAGE
    from paywindow.models import reconciliations
    from paywindow.models.database import transaction

    at = clock.now()
    end = min(_utc(until) or at, at - reconciliations.SETTLING)
    start = _utc(since) or end - reconciliations.LOOK_BACK
    if start >= end:
        raise typer.BadParameter(f"must lie before {isoformat(end)}", param_hint="--since")
    livemode = secret(settings.stripe_secret_key).startswith(("sk_live_", "rk_live_"))
    with transaction():
        run = reconciliations.start(client_name(), livemode, start, end, FIRST_STAGE, at, repairs=repairs)
    return run.id, start, end


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None


def _run(run_id: uuid.UUID, since: datetime, until: datetime, *, quiet: bool) -> None:
    """Make all steps, showing how far each stage has come."""
    from paywindow.actors.reconcile import STAGES, step
    from paywindow.models.database import transaction
    from paywindow.models.tables import Reconciliation

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    names = list(STAGES)
    with Progress(*columns, console=console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(names[0], total=len(names))
        while patiently(lambda: step(run_id)):
            with transaction():
                run = Reconciliation.get_by_id(run_id)
            # Lists go from the newest back: the part of the time that is behind us is the part that is done.
            reached = (until - run.reached_at) / (until - since) if run.after and run.reached_at else 0.0
            progress.update(task, description=run.stage, completed=names.index(run.stage) + min(max(reached, 0.0), 1.0))
        progress.update(task, description="done", completed=len(names))


def patiently(make_step: Callable[[], bool]) -> bool:
    """Make a step when the sweeps' share of calls allows one; wait for Stripe to come back a few times."""
    from paywindow.actors.runtime import runtime

    while not runtime().budget.claim_for_sweep(1):
        time.sleep(_PAUSE_SECONDS)
    for tries in range(_TRIES):
        try:
            return make_step()
        except StripeUnavailable:
            if tries == _TRIES - 1:
                raise
            time.sleep(_PAUSE_SECONDS * 2**tries)
    return False


def _report(run_id: uuid.UUID) -> dict[str, Any]:
    from paywindow.models import reconciliations
    from paywindow.models.database import transaction
    from paywindow.models.tables import Reconciliation

    with transaction():
        run = Reconciliation.get_by_id(run_id)
        rows = reconciliations.findings(run)
    return {
        "since": isoformat(run.since),
        "until": isoformat(run.until),
        "repairs": run.repairs,
        "compared": run.compared,
        "findings": [
            {
                "code": row.code,
                "subject": row.subject,
                "session": str(row.session_id) if row.session_id else None,
                "ours": row.ours,
                "theirs": row.theirs,
                "meaning": DISCREPANCIES[row.code].meaning,
                "outcome": row.outcome,
                "done": _done(row.code, row.outcome),
                "note": row.note,
            }
            for row in rows
        ],
    }


def _done(code: str, outcome: str) -> str:
    """What was done, or is to be done."""
    found = DISCREPANCIES[code]
    if outcome == "repaired":
        return found.mended or found.advice
    if outcome == "repairable":
        return "`--repair` mends it."
    if outcome == "held":
        return f"Its session is held for an operator. {found.advice}"
    return found.advice


def _print(report: dict[str, Any]) -> None:
    say(f"{report['since']} to {report['until']}: {report['compared']} objects compared")
    if not report["findings"]:
        say("The books and Stripe agree.")
        return
    by_code: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        by_code.setdefault(finding["code"], []).append(finding)
    for code, findings in by_code.items():
        heading(f"{code} ({len(findings)})")
        say(DISCREPANCIES[code].meaning)
        rows = [
            [finding[name] for name in ("subject", "session", "ours", "theirs", "outcome")]
            for finding in findings[:_SHOWN]
        ]
        table(_COLUMNS, rows, empty="")
        if len(findings) > _SHOWN:
            say(f"and {len(findings) - _SHOWN} more; --json shows all")
        for done in dict.fromkeys(finding["done"] for finding in findings):
            say(done)
    left = sum(finding["outcome"] != "repaired" for finding in report["findings"])
    say(f"\n{len(report['findings'])} findings, {left} not mended")
