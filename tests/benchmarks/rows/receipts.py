"""``receipts``: complete receipts for each core and second, against the bare wkhtmltopdf command drawing the same pages.

Ours are rendered from their data, drawn by renderers that stay, each on its own, numbered and described; the baselines only draw:
``receipts`` against a command a page, as a shell loop would, without its wait for scripts; ``receipts_batch`` against one
command for all pages, in which one bad page ends the rest.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Aim, Bench, Figure, benchmark

from paywindow.receipts import renderer
from paywindow.receipts.data import Buyer, Issuer, Line, Method, ReceiptData
from paywindow.receipts.render import render_html, render_pdf
from paywindow.receipts.wkhtmltopdf import environment, find_executable, options
from paywindow.settings import Settings

_ROUNDS = 3
_LANGUAGES = ("en", "de", "fr", "es", "ja", "ar")
_STAYING: int = Settings.model_fields["receipt_documents_per_renderer"].default


@benchmark("receipts")
def receipts(bench: Bench) -> Iterator[Figure]:
    """As many at once as there are cores, in turns with both baselines."""
    cores = os.cpu_count() or 1
    documents = [_document(number) for number in range(bench.sized(60 * cores))]
    rounds = bench.rounded(_ROUNDS)
    task = bench.progress.add_task("receipts", total=3 * len(rounds))
    speeds: dict[str, list[float]] = {"ours": [], "bare": [], "batch": []}
    with tempfile.TemporaryDirectory(prefix="paywindow-bench-") as scratch:
        bare = _Bare(Path(scratch), documents)
        ways: dict[str, Callable[[list[int]], None]] = {
            "ours": lambda mine: _draw([documents[number] for number in mine]),
            "bare": bare.one_by_one,
            "batch": bare.in_one_batch,
        }
        for _ in rounds:
            for name, way in ways.items():
                speeds[name].append(_speed(way, len(documents), cores))
                bench.progress.advance(task)
    renderer.close()
    ours, one_by_one, batch = (statistics.median(speeds[name]) for name in ("ours", "bare", "batch"))
    note = f"{len(documents)} receipts in {len(_LANGUAGES)} languages on {cores} cores"
    unit = "receipts/s/core"
    yield Figure("receipts", ours, unit, one_by_one, Aim("ratio", "at least", 2.0), f"{note}; a command for each page")
    yield Figure(
        "receipts_batch", ours, unit, batch, Aim("ratio", "at least", 0.7), "against one command for all pages"
    )


class _Bare:
    """The wkhtmltopdf command over the same pages, with the same options."""

    def __init__(self, scratch: Path, documents: list[ReceiptData]):
        self._scratch = scratch
        self._program = find_executable(None)
        for number, document in enumerate(documents):
            (scratch / f"{number}.html").write_text(render_html(document), encoding="utf-8")

    def one_by_one(self, pages: list[int]) -> None:
        for page in pages:
            self._run([*self._arguments(page)])

    def in_one_batch(self, pages: list[int]) -> None:
        self._run(["--read-args-from-stdin"], "".join(" ".join(self._arguments(page)) + "\n" for page in pages))

    def _arguments(self, page: int) -> list[str]:
        return [*options(self._program), f"{page}.html", f"{page}.pdf"]

    def _run(self, arguments: list[str], stdin: str = "") -> None:
        command = [self._program, *arguments]
        seen = environment(str(self._scratch))
        subprocess.run(command, cwd=self._scratch, env=seen, input=stdin, text=True, capture_output=True, check=True)


def _draw(documents: list[ReceiptData]) -> None:
    for document in documents:
        render_pdf(document, documents_per_process=_STAYING)


def _speed(way: Callable[[list[int]], None], count: int, cores: int) -> float:
    """Documents a second and core, each core given its share of them."""
    shares = [share for core in range(cores) if (share := list(range(core, count, cores)))]
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(way, shares))
    return count / (time.perf_counter() - start) / cores


def _document(number: int) -> ReceiptData:
    moment = datetime(2026, 11, 14, 15, 4, 5, tzinfo=UTC)
    return ReceiptData(
        number=f"R-2026-{number + 1:06}",
        issued_at=moment,
        paid_at=moment,
        locale=_LANGUAGES[number % len(_LANGUAGES)],
        issuer=Issuer(
            name="Harbour Auctions", address=("12 Quay Street", "Harbour Town"), email="accounts@auctions.example"
        ),
        buyer=Buyer(name="Jenny Rosen", email="jenny@example.com"),
        lines=(Line(description="Walnut side table", unit_amount=27550, amount=27550),),
        total=27550,
        currency="USD",
        method=Method(brand="visa", last4="4242"),
    )
