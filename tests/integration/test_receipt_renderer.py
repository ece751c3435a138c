"""Renderers that stay: the same documents from one process, and each document's trouble its own."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pypdf import PdfReader

from paywindow.receipts import renderer
from paywindow.receipts.renderer import Renderer, draw
from paywindow.receipts.wkhtmltopdf import RenderFailed, RenderTimeout, html_to_pdf

# Counts its starts, and does with each document what the page itself asks for.
_MOODY = """#!/bin/sh
echo start >> {folder}/starts
if [ "$1" != --read-args-from-stdin ]; then exec {real} "$@"; fi
while IFS= read -r line; do
    grep -q CRASH document.html && exit 139
    grep -q HANG document.html && exec sleep 600
    grep -q HALF document.html && {{ printf '%%PDF-1.4 half' > document.pdf; exit 1; }}
    echo "$line" | {real} --read-args-from-stdin
done
"""


@pytest.fixture
def real(require_program: Callable[[str], str]) -> str:
    return require_program("wkhtmltopdf")


@pytest.fixture(autouse=True)
def no_renderer_left() -> Iterator[None]:
    renderer.close()
    yield
    renderer.close()


@pytest.fixture
def moody(tmp_path: Path, real: str) -> str:
    path = tmp_path / "wkhtmltopdf"
    path.write_text(_MOODY.format(folder=tmp_path, real=real))
    path.chmod(0o755)
    return str(path)


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text().splitlines())


def text(pdf: bytes, folder: Path) -> str:
    (folder / "seen.pdf").write_bytes(pdf)
    return " ".join(PdfReader(folder / "seen.pdf").pages[0].extract_text().split())


def page(words: str) -> str:
    return f"<html><body>{words}</body></html>"


def test_many_documents_come_from_one_process_each_with_its_own_words(tmp_path: Path, moody: str) -> None:
    drawn = [draw(page(f"number {n}"), documents=100, executable=moody) for n in range(5)]

    assert [text(pdf, tmp_path) for pdf in drawn] == [f"number {n}" for n in range(5)]
    assert starts(tmp_path) == 1


def test_it_draws_what_a_process_of_its_own_draws(tmp_path: Path, real: str) -> None:
    """Byte for byte but for the moment that wkhtmltopdf writes into the file."""

    def lines(pdf: bytes) -> list[bytes]:
        return [line for line in pdf.splitlines() if not line.startswith(b"/CreationDate")]

    again = [draw(page("<h1>Vase</h1>"), documents=100, executable=real) for _ in range(2)]

    assert lines(again[0]) == lines(again[1]) == lines(html_to_pdf(page("<h1>Vase</h1>"), executable=real))


def test_after_its_number_of_documents_it_is_replaced(tmp_path: Path, moody: str) -> None:
    for _ in range(5):
        draw(page("x"), documents=2, executable=moody)

    assert starts(tmp_path) == 3


def test_a_crash_is_that_documents_alone(tmp_path: Path, moody: str) -> None:
    with pytest.raises(RenderFailed, match="code 139"):
        draw(page("CRASH"), documents=100, executable=moody)

    assert text(draw(page("next"), documents=100, executable=moody), tmp_path) == "next"


@pytest.mark.parametrize("trouble", ["CRASH", "HALF"])
def test_what_fails_in_a_used_process_gets_one_of_its_own(tmp_path: Path, moody: str, trouble: str) -> None:
    """It may have been an earlier document's fault; here the second process draws what the first could not."""
    draw(page("before"), documents=100, executable=moody)

    assert text(draw(page(trouble), documents=100, executable=moody), tmp_path) == trouble


def test_a_hang_is_ended_and_the_next_document_does_not_wait(tmp_path: Path, moody: str) -> None:
    with pytest.raises(RenderTimeout, match=r"within 0\.3 s"):
        draw(page("HANG"), documents=100, executable=moody, timeout_seconds=0.3)

    assert text(draw(page("next"), documents=100, executable=moody), tmp_path) == "next"


def test_a_renderer_that_was_killed_while_idle_is_replaced(tmp_path: Path, moody: str) -> None:
    draw(page("first"), documents=100, executable=moody)
    (idle,) = renderer._idle._renderers
    idle._process.kill()
    idle._process.wait()

    assert text(draw(page("second"), documents=100, executable=moody), tmp_path) == "second"


def test_half_a_pdf_from_a_new_process_is_a_failure(moody: str) -> None:
    with pytest.raises(RenderFailed, match=r"without its end|ended with code 1"):
        draw(page("HALF"), documents=100, executable=moody)


def test_threads_never_share_a_process(tmp_path: Path, moody: str) -> None:
    together = threading.Barrier(4)

    def drawn(number: int) -> bytes:
        together.wait()
        return draw(page(f"number {number}"), documents=100, executable=moody)

    with ThreadPoolExecutor(4) as pool:
        pdfs = list(pool.map(drawn, range(4)))

    assert [text(pdf, tmp_path) for pdf in pdfs] == [f"number {n}" for n in range(4)]


def test_the_page_is_gone_as_soon_as_it_is_drawn_and_the_folder_with_the_process(real: str) -> None:
    one = Renderer(real)
    one.draw(page("Jenny Rosen"), 30)

    assert sorted(path.name for path in one._folder.iterdir() if path.is_file()) == ["log"]
    one.close()
    assert not one._folder.exists()


def test_a_document_reads_no_file_of_its_renderer(tmp_path: Path, real: str) -> None:
    secret = tmp_path / "secret.html"
    secret.write_text("<html><body>the-secret-words</body></html>")
    one = Renderer(real)
    for source in (secret.as_uri(), "log", os.path.relpath(secret, one._folder)):
        try:
            seen = text(one.draw(f"<html><body><iframe src='{source}'></iframe>here</body></html>", 30), tmp_path)
        except RenderFailed:
            one = Renderer(real)
            continue
        assert "secret" not in seen
    one.close()


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("wkhtmltopdf") is None

    with pytest.raises(RenderFailed, match="apt-get install"):
        draw(page("x"), documents=100)


def test_a_renderer_takes_the_processor_only_when_nobody_else_wants_it(real: str) -> None:
    made = Renderer(real)
    try:
        made.draw("<p>one</p>", 30)
        assert os.sched_getscheduler(made._process.pid) == os.SCHED_IDLE
        assert os.sched_getscheduler(0) != os.SCHED_IDLE
    finally:
        made.close()
