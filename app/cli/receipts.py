"""``paywindow receipts``: prove that they are in order, look at one, draw one again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from paywindow import jsons
from paywindow.clock import isoformat
from paywindow.money import Money
from paywindow.settings import Role, Settings, secret

app = typer.Typer(help="Receipts, credit notes and sellers' statements.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The document's number, or its id.")]
_READERS = 8


@app.command()
def audit(as_json: AsJson = False) -> None:
    """Check that no number is missing or double, and that every stored file has the SHA-256 that is on record.

    Ends with code 1 when something is wrong. Documents that are still being drawn are counted, and are no fault.
    """
    settings = _connect()
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
    if as_json:
        typer.echo(jsons.dumps(report))
    else:
        _print_audit(report)
    if findings:
        raise typer.Exit(1)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a document: what it says, where its file is, and who fetched it."""
    _connect()
    found = _described(name)
    if as_json:
        typer.echo(jsons.dumps(found))
        return
    console = Console()
    for label, value in found.items():
        if label not in ("says", "downloads"):
            console.print(f"[dim]{label:<12}[/dim] {value if value is not None else '-'}", highlight=False)
    for download in found["downloads"]:
        console.print(f"[dim]downloaded[/dim]   {download['at']} by {download['who']}", highlight=False)
    console.print_json(jsons.dumps(found["says"]))


@app.command()
def render(
    name: Name, output: Annotated[Path, typer.Option(dir_okay=False, help="The PDF to write.")] = Path("receipt.pdf")
) -> None:
    """Draw a document again from what was frozen when it was issued: the same text; its bytes differ from the stored file's."""
    _connect()
    from paywindow.models import database
    from paywindow.receipts.data import ReceiptData
    from paywindow.receipts.render import render_pdf

    with database.transaction():
        receipt = _find(name)
    output.write_bytes(render_pdf(ReceiptData.from_json(receipt.render_data)))
    typer.echo(f"{receipt.receipt_number} is in {output}")


def _connect() -> Settings:
    from paywindow.models import database

    settings = Settings.load(Role.MIGRATE)
    database.connect_to_read(secret(settings.database_url))
    return settings


def _find(name: str) -> Any:
    from paywindow.models import receipts

    found = receipts.by_name(name)
    if found is None:
        typer.echo(f"There is no receipt, credit note or statement {name}.", err=True)
        raise typer.Exit(1)
    return found


def _described(name: str) -> dict[str, Any]:
    from paywindow.models import database, receipts

    with database.transaction():
        receipt = _find(name)
        fetched = receipts.downloads(receipt)
    return {
        "number": receipt.receipt_number,
        "kind": receipt.kind,
        "id": str(receipt.id),
        "session": str(receipt.session_id),
        "issued": isoformat(receipt.issued_at),
        "total": str(Money(receipt.total_minor, receipt.currency)),
        "template": receipt.template_version,
        "stored": isoformat(receipt.stored_at) if receipt.stored_at else None,
        "key": receipt.storage_key,
        "version": receipt.storage_version_id,
        "sha256": receipt.sha256,
        "downloads": [{"at": isoformat(row.at), "who": row.who} for row in fetched],
        "says": jsons.loads(receipt.render_data),
    }


def _check_files(settings: Settings, *, quiet: bool) -> tuple[int, int, list[Any]]:
    """How many files were checked, how many documents have none yet, and what is wrong with which."""
    from paywindow.models.receipt_audit import Finding, count, documents
    from paywindow.receipts.stores import open_store
    from paywindow.receipts.verify import problem_with

    store = open_store(settings)
    checked, waiting, findings = 0, 0, []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), disable=quiet) as progress,
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
        typer.echo(f"{each['name']}: {each['documents']} documents, the last number is {each['last']}")
    typer.echo(f"{report['filesVerified']} files verified, {report['onTheirWay']} documents on their way")
    for finding in report["findings"]:
        typer.echo(f"{finding['about']}: {finding['problem']}", err=True)
    typer.echo(
        f"{len(report['findings'])} findings"
        if report["findings"]
        else "No number is missing or double; every file is the one on record."
    )
