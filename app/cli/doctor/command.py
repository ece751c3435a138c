"""Running all checks side by side, and telling what they found."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Annotated, Any

import typer

from paywindow.cli.doctor.findings import Finding, Level, Part, first_line
from paywindow.cli.exits import Exit
from paywindow.cli.output import AsJson, Column, emit, say, table
from paywindow.settings import Role, Settings

Check = Callable[[Settings], Iterator[Finding]]

#: Part -> its module, in the order in which findings are told. Modules are loaded when they are run.
PARTS = {
    "postgres": "postgres",
    "redis": "redis_server",
    "stripe": "stripe_account",
    "receipts": "documents",
    "processes": "processes",
}
#: What the host of one process needs; without ``--for`` everything is looked at.
_NEEDS: dict[Role, tuple[str, ...]] = {
    Role.FRONT: ("redis",),
    Role.WORKER: ("postgres", "redis", "stripe", "receipts"),
    Role.SCHEDULER: ("redis",),
    Role.MIGRATE: ("postgres",),
    Role.OPERATOR: ("postgres", "redis", "processes"),
}

_COLUMNS = (
    Column("level"),
    Column("part"),
    Column("check"),
    Column("found", folds=True),
)


def doctor(
    role: Annotated[Role | None, typer.Option("--for", help="Only what a host of this process needs.")] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Instead, look through the books, Redis and Stripe for what must not be.")
    ] = False,
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="With --audit: nothing is being sold, so nothing may be unfinished.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check everything that paywindow depends on, and say what to do about it. Ends with 1 when something fails.

    Each check stands alone and gives up after seconds, so this works while parts are down. `--audit` takes as long as there is
    to look at, reads every row and every receipt, and changes nothing: docs/audit.md says what must hold, and what to do
    where it does not.
    """
    if at_rest and not audit:
        raise typer.BadParameter("goes with --audit", param_hint="--at-rest")
    if audit:
        from paywindow.cli.doctor.audit import run_audit

        run_audit(at_rest=at_rest, as_json=as_json)
        return
    from paywindow.cli.doctor.environment import survey

    roles = tuple(Role) if role is None else (role,)
    settings, findings = survey(os.environ, roles)
    parts = tuple(PARTS) if role is None else _NEEDS[role]
    with ThreadPoolExecutor(len(parts)) as pool:
        for found in pool.map(lambda part: _run(part, settings), parts):
            findings += found
    counts = Counter(finding.level for finding in findings)
    failed = counts[Level.FAIL] > 0
    body: dict[str, Any] = {
        "ok": not failed,
        "counts": {level.value: counts[level] for level in Level},
        "findings": [finding.public() for finding in findings],
    }
    emit(body, as_json, lambda: _print(findings, counts))
    if failed:
        raise typer.Exit(Exit.REFUSED)


def _run(part: str, settings: Settings) -> list[Finding]:
    """A part's findings; an error that no check foresaw is a finding as well, and does not stop the others."""
    found: list[Finding] = []
    try:
        check: Check = import_module(f"paywindow.cli.doctor.{PARTS[part]}").check
        found.extend(check(settings))
    except Exception as error:
        remedy = "see what the error says"
        found.append(Part(part).fail("check", f"{type(error).__name__}: {first_line(error)}", remedy))
    return found


def _print(findings: list[Finding], counts: Counter[Level]) -> None:
    rows = [
        (
            finding.level.value,
            finding.part,
            finding.check,
            f"{finding.found}\n→ {finding.remedy}"
            if finding.remedy and finding.level is not Level.OK
            else finding.found,
        )
        for finding in findings
    ]
    table(_COLUMNS, rows, empty="")
    say("")
    say(", ".join(f"{counts[level]} {level}" for level in Level if counts[level]))
