"""``paywindow receipts``: find them, prove that they are in order, look at one, draw one again."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from paywindow import jsons
from paywindow.cli.connections import read_database
from paywindow.cli.exits import Exit
from paywindow.cli.output import AsJson, Column, console, emit, facts, heading, note, say, table, when
from paywindow.clock import isoformat
from paywindow.errors import Problem
from paywindow.money import Money
from paywindow.settings import Settings

app = typer.Typer(help="Receipts, credit notes and sellers' statements.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The document's number, or its id.")]
_READERS = 8
_COLUMNS = (
    Column("number"),
    Column("kind"),
    Column("total", right=True),
    Column("issued"),
    Column("stored", optional=True),
    Column("session", optional=True),
)


@app.command("list")
def list_receipts(
    unstored: Annotated[bool, typer.Option("--unstored", help="Only those whose file is still to be drawn.")] = False,
    session: Annotated[uuid.UUID | None, typer.Option(help="Only of this payment session.")] = None,
    buyer: Annotated[uuid.UUID | None, typer.Option(help="Only of this buyer.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier page: the last number on it.")] = None,
    as_json: AsJson = False,
) -> None:
    """List documents, the newest first."""
    read_database()
    from paywindow.models import database, receipt_lists

    with database.transaction():
        rows, following = receipt_lists.page(
            unstored=unstored, session_id=session, buyer_id=buyer, limit=limit, after=cursor
        )
    body = {"receipts": [_summary(row) for row in rows], "nextCursor": following}
    emit(body, as_json, lambda: _print_list(body))


@app.command()
def audit(as_json: AsJson = False) -> None:
    """Check that no number is missing or double, and that every stored file has the SHA-256 that is on record.

    Ends with code 1 when something is wrong. Documents that are still being drawn are counted, and are no fault.
    """
    settings = read_database()
    from paywindow.models import receipt_audit

    series = receipt_audit.series()
    findings = [finding for each in series for finding in each.findings()]
    lost, coming = receipt_audit.settled_without_receipt()
    files, on_their_way, broken = _check_files(settings, quiet=as_json)
    findings += [*lost, *broken]
    report = {
        "series": [{"name": each.name, "last": each.last, "documents": each.count} for each in series],
        "filesVerified": files,
        "onTheirWay": on_their_way + coming,
        "findings": [{"about": finding.about, "problem": finding.problem} for finding in findings],
    }
    emit(report, as_json, lambda: _print_audit(report))
    if findings:
        raise typer.Exit(Exit.REFUSED)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a document: what it says, where its file is, and who fetched it."""
    read_database()
    found = _described(name)
    emit(found, as_json, lambda: _print_document(found))


@app.command()
def render(
    name: Name,
    output: Annotated[Path, typer.Option(dir_okay=False, help="The PDF to write.")] = Path("receipt.pdf"),
    as_json: AsJson = False,
) -> None:
    """Draw a document again from what was frozen when it was issued: the same text; its bytes differ from the stored file's."""
    read_database()
    from paywindow.models import database
    from paywindow.receipts.data import ReceiptData
    from paywindow.receipts.render import render_pdf

    with database.transaction():
        receipt = _find(name)
    output.write_bytes(render_pdf(ReceiptData.from_json(receipt.render_data)))
    body = {"number": receipt.receipt_number, "file": str(output)}
    emit(body, as_json, lambda: say(f"{receipt.receipt_number} is in {output}"))


def _find(name: str) -> Any:
    from paywindow.models import receipts

    found = receipts.by_name(name)
    if found is None:
        raise Problem("not_found", f"There is no receipt, credit note or statement {name}.")
    return found


def _described(name: str) -> dict[str, Any]:
    from paywindow.models import database, receipts

    with database.transaction():
        receipt = _find(name)
        fetched = receipts.downloads(receipt)
    return {
        **_summary(receipt),
        "template": receipt.template_version,
        "key": receipt.storage_key,
        "version": receipt.storage_version_id,
        "sha256": receipt.sha256,
        "downloads": [{"at": isoformat(row.at), "who": row.who} for row in fetched],
        "says": jsons.loads(receipt.render_data),
    }


def _summary(receipt: Any) -> dict[str, Any]:
    return {
        "number": receipt.receipt_number,
        "kind": receipt.kind,
        "id": str(receipt.id),
        "session": str(receipt.session_id),
        "issued": isoformat(receipt.issued_at),
        "total": str(Money(receipt.total_minor, receipt.currency)),
        "stored": isoformat(receipt.stored_at) if receipt.stored_at else None,
    }


def _print_list(body: dict[str, Any]) -> None:
    rows = [
        (
            each["number"],
            each["kind"].replace("_", " "),
            each["total"],
            when(each["issued"]),
            when(each["stored"]) or "not yet",
            each["session"],
        )
        for each in body["receipts"]
    ]
    table(_COLUMNS, rows, empty="There are no such documents.")
    if body["nextCursor"]:
        note(f"\nThere are more: --cursor {body['nextCursor']}")


def _print_document(found: dict[str, Any]) -> None:
    facts({name: value for name, value in found.items() if name not in ("says", "downloads")})
    if found["downloads"]:
        heading("Downloads (UTC)")
        table((Column("at"), Column("by")), [(when(row["at"]), row["who"]) for row in found["downloads"]], empty="")
    heading("It says")
    say(jsons.indented(found["says"]))


def _check_files(settings: Settings, *, quiet: bool) -> tuple[int, int, list[Any]]:
    """How many files were checked, how many documents have none yet, and what is wrong with which."""
    from paywindow.models.receipt_audit import Finding, count, documents
    from paywindow.receipts.stores import open_store
    from paywindow.receipts.verify import problem_with

    store = open_store(settings)
    checked, waiting, findings = 0, 0, []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console(stderr=True), disable=quiet) as progress,
        ThreadPoolExecutor(_READERS) as readers,
    ):
        task = progress.add_task("files", total=count())
        for page in documents():
            stored = [row for row in page if row.storage_key is not None]
            problems = readers.map(lambda row: problem_with(store, row.storage_key, row.sha256), stored)
            for row, problem in zip(stored, problems, strict=True):
                if problem is not None:
                    findings.append(Finding(row.receipt_number, problem))
                progress.advance(task)
            progress.advance(task, len(page) - len(stored))
            checked += len(stored)
            waiting += len(page) - len(stored)
    return checked, waiting, findings


def _print_audit(report: dict[str, Any]) -> None:
    for each in report["series"]:
        say(f"{each['name']}: {each['documents']} documents, the last number is {each['last']}")
    say(f"{report['filesVerified']} files verified, {report['onTheirWay']} documents on their way")
    for finding in report["findings"]:
        note(f"{finding['about']}: {finding['problem']}")
    say(
        f"{len(report['findings'])} findings"
        if report["findings"]
        else "No number is missing or double; every file is the one on record."
    )
