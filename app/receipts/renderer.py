"""wkhtmltopdf processes that stay: one document at a time in each, many after each other.

Four fifths of what a document costs is the renderer's start. ``wkhtmltopdf --read-args-from-stdin`` starts once and then takes
a line of arguments for each document. It is given the next line when the last document is there, so a process never has
more than one to lose; a hang or a crash is still that document's alone, and when the process had drawn others before, its
document is drawn once more in a process of its own, so that no document fails for what another did.
What isolates a renderer is the same as for one document (:mod:`paywindow.receipts.wkhtmltopdf`).

The PDF comes through a FIFO: its end says that the document is complete, and nothing is written to disk. The page has to be
a file, since standard input is taken: it is deleted as soon as it is drawn.
"""

import atexit
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from paywindow.receipts.scratch import remove_abandoned, scratch_folder
from paywindow.receipts.wkhtmltopdf import (
    TIMEOUT_SECONDS,
    RenderFailed,
    RenderTimeout,
    checked_pdf,
    environment,
    find_executable,
    html_to_pdf,
    launched,
    options,
)

_PAGE, _PDF, _LOG = "document.html", "document.pdf", "log"


class Renderer:
    """A wkhtmltopdf process of one thread at a time. ``drawn``: how many documents it has finished."""

    def __init__(self, executable: str):
        self.executable = executable
        self.drawn = 0
        self._line = " ".join([*options(executable), _PAGE, _PDF]).encode() + b"\n"
        remove_abandoned()
        self._scratch = scratch_folder()
        self._folder = Path(self._scratch.name)
        os.mkfifo(self._folder / _PDF)
        try:
            with (self._folder / _LOG).open("wb") as log:
                self._process = launched(
                    [executable, "--read-args-from-stdin"],
                    cwd=self._folder,
                    env=environment(self._scratch.name),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,  # never written to: its end is the process's end
                    stderr=log,
                )
        except OSError as error:
            self._scratch.cleanup()
            raise RenderFailed(f"{executable} cannot be started: {error.strerror}") from error
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)

    def draw(self, html: str, timeout_seconds: float) -> bytes:
        """One document. Raises what :func:`paywindow.receipts.wkhtmltopdf.html_to_pdf` raises; the process is then gone."""
        page = self._folder / _PAGE
        try:
            page.write_text(html, encoding="utf-8")
            pdf = self._drawn(timeout_seconds)
        except BaseException:
            self.close()
            raise
        page.unlink()
        self.drawn += 1
        return pdf

    @property
    def running(self) -> bool:
        """Whether it can be given a document."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process and remove what it left. May be called again."""
        try:
            # What a process that crashed did not read of its standard input is lost with it.
            with suppress(BrokenPipeError), self._process:
                if self._process.returncode is None:
                    os.killpg(self._process.pid, signal.SIGKILL)
        finally:
            self._scratch.cleanup()

    def _drawn(self, timeout_seconds: float) -> bytes:
        # Opened for reading first: the writer then never waits, and its leaving can be told from its not having come yet.
        end = os.open(self._folder / _PDF, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._stdin.write(self._line)
            self._stdin.flush()
            pdf = self._read(end, time.monotonic() + timeout_seconds, timeout_seconds)
        except BrokenPipeError:
            pdf = b""
        finally:
            os.close(end)
        pdf = checked_pdf(self._process.poll() or 0, pdf, self._log)
        if not pdf.rstrip().endswith(b"%%EOF"):
            raise RenderFailed(f"wkhtmltopdf gave {len(pdf)} bytes of a PDF without its end")
        return pdf

    def _read(self, end: int, deadline: float, timeout_seconds: float) -> bytes:
        """Everything up to the end of the document, or of the process."""
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(end, selectors.EVENT_READ)
            selector.register(self._stdout, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
                if not ready:
                    raise RenderTimeout(f"wkhtmltopdf did not finish within {timeout_seconds:g} s")
                # Its death alone is ready when it never opened the FIFO; what it wrote before is read first.
                piece = os.read(end, 1 << 16) if end in ready else b""
                if not piece:
                    if end not in ready:
                        self._process.wait()
                    return b"".join(pieces)
                pieces.append(piece)

    @property
    def _log(self) -> bytes:
        return (self._folder / _LOG).read_bytes()


class _Idle:
    """Renderers that wait for work: never more than there were threads that drew at the same moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._renderers: list[Renderer] = []
        self._pid = os.getpid()

    @contextmanager
    def renderer(self, executable: str, documents: int) -> Iterator[Renderer]:
        """A running renderer, kept afterwards unless it has drawn ``documents``."""
        found = self._take(executable) or Renderer(executable)
        try:
            yield found
        finally:
            if found.running and found.drawn < documents:
                with self._lock:
                    self._renderers.append(found)
            else:
                found.close()

    def _take(self, executable: str) -> Renderer | None:
        with self._lock:
            if self._pid != os.getpid():  # forked: these processes listen to somebody else
                self._renderers, self._pid = [], os.getpid()
            while self._renderers:
                found = self._renderers.pop()
                if found.running and found.executable == executable:
                    return found
                found.close()
        return None

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            while self._renderers and self._pid == os.getpid():
                self._renderers.pop().close()


_idle = _Idle()
#: Ends the renderers that wait. Called when the interpreter ends; a process that ends without its ceremonies (a forked worker)
#: calls it itself, or leaves their folders to :func:`paywindow.receipts.scratch.remove_abandoned`.
close = atexit.register(_idle.close)


def draw(
    html: str, *, documents: int, timeout_seconds: float = TIMEOUT_SECONDS, executable: str | None = None
) -> bytes:
    """Render one HTML document on A4, in a process that draws up to ``documents`` of them.

    Blocks for at most ``timeout_seconds``, twice that when a second try is due. Raises :class:`RenderTimeout` and
    :class:`RenderFailed`.
    """
    if documents == 1:
        return html_to_pdf(html, timeout_seconds=timeout_seconds, executable=executable)
    with _idle.renderer(find_executable(executable), documents) as renderer:
        was_used = renderer.drawn > 0
        try:
            return renderer.draw(html, timeout_seconds)
        except RenderFailed:
            if not was_used:
                raise
    return html_to_pdf(html, timeout_seconds=timeout_seconds, executable=executable)
