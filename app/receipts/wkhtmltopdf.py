"""HTML to PDF by pdfkit and wkhtmltopdf, with a time limit and without any way out.

A process draws one document at a time, so that a crash or a hang is that document's alone; here it draws one and ends,
:mod:`paywindow.receipts.renderer` keeps it for the next. The process sees none of our environment (keys!), no network, no
local file, runs no script, and its temporary files go away even when it is killed.

pdfkit builds the command line, but does not run it: ``pdfkit.PDFKit.to_pdf`` has no time-out, and
``PDFKit(html, "string")`` would take options from ``<meta>`` tags inside the document.

Debian's wkhtmltopdf is built on an unpatched Qt: ``--footer-*``, ``--title`` and the like are ignored there, which is
why :mod:`paywindow.receipts.stamp` exists.
"""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import cache
from typing import Any

import pdfkit  # type: ignore[import-untyped]

from paywindow.errors import Transient
from paywindow.receipts import fonts
from paywindow.receipts.scratch import scratch_folder

#: Bounds the damage of a renderer that hangs; an ordinary receipt takes a tenth of a second.
TIMEOUT_SECONDS = 30.0
_STDERR_TAIL = 2000

_OPTIONS = {
    "page-size": "A4",
    "margin-top": "18mm",
    "margin-bottom": "20mm",
    "margin-left": "18mm",
    "margin-right": "18mm",
    "encoding": "utf-8",
    "disable-javascript": "",
    # Its default is to wait 200 ms for scripts, which are off.
    "javascript-delay": "0",
    "disable-local-file-access": "",
    "disable-plugins": "",
    # A proxy that cannot exist, also for names: whatever a document refers to stays unfetched.
    "proxy": "http://127.0.0.1:0",
    "proxy-hostname-lookup": "",
}


class RenderTimeout(Transient):
    """The renderer did not finish within its time limit and was killed."""


class RenderFailed(Transient):
    """The renderer is missing, crashed, or gave no PDF; the message ends with what it wrote to stderr."""


def html_to_pdf(html: str, *, timeout_seconds: float = TIMEOUT_SECONDS, executable: str | None = None) -> bytes:
    """Render one HTML document on A4.

    ``executable``: path of wkhtmltopdf; found on PATH when not given. Blocks for at most ``timeout_seconds``.
    Raises :class:`RenderTimeout` and :class:`RenderFailed`.
    """
    path = find_executable(executable)
    command = [path, *options(path), "-", "-"]
    with scratch_folder() as scratch:
        code, pdf, stderr = _run(command, html.encode(), environment(scratch), timeout_seconds)
    return checked_pdf(code, pdf, stderr)


def checked_pdf(code: int, pdf: bytes, stderr: bytes) -> bytes:
    """The PDF, if it is whole and the renderer content. Raises :class:`RenderFailed`."""
    if code != 0 or not pdf.startswith(b"%PDF-"):
        tail = stderr.decode("utf-8", errors="replace")[-_STDERR_TAIL:].strip()
        raise RenderFailed(f"wkhtmltopdf ended with code {code} and {len(pdf)} bytes: {tail or 'no message'}")
    return pdf


def find_executable(executable: str | None) -> str:
    """The path of wkhtmltopdf. Raises :class:`RenderFailed`, with the remedy."""
    path = executable or shutil.which("wkhtmltopdf")
    if path is None:
        raise RenderFailed("wkhtmltopdf is not on PATH; on Debian: apt-get install wkhtmltopdf")
    if not os.access(path, os.X_OK):
        raise RenderFailed(f"wkhtmltopdf cannot be started at {path}: not an executable file")
    return path


@cache
def options(executable: str) -> tuple[str, ...]:
    """The arguments between the program and its input and output, as pdfkit writes them."""
    try:
        configuration = pdfkit.configuration(wkhtmltopdf=executable)
    except OSError as error:
        raise RenderFailed(f"wkhtmltopdf cannot be read at {executable}") from error
    # An empty document: the real one goes to the process, and pdfkit never looks for options in it.
    command: list[str] = pdfkit.PDFKit("", "string", options=_OPTIONS, configuration=configuration).command()
    return tuple(command[1:-2])


def launched(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """The command's process, in a group of its own, so that a kill reaches what it may start.

    It runs under util-linux' launcher, by which the kernel kills it when our process dies, even by SIGKILL, and only where nobody
    else wants the processor (``SCHED_IDLE``, sched(7)): under ``nice`` alone whoever wakes up for a checkout has to wait until
    the renderer's slice is over, at each of a checkout's many steps. It holds no lock that anybody could wait for.
    Raises :class:`OSError` when it cannot be started.
    """
    setpriv = shutil.which("setpriv")
    command = [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command
    process = subprocess.Popen(command, process_group=0, **options)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # forbidden here, or it has ended already: it is no worse for that
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process


def environment(scratch: str) -> dict[str, str]:
    """All that a renderer sees of ours; ``scratch`` is its home."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": scratch,
        "TMPDIR": scratch,
        "XDG_RUNTIME_DIR": scratch,
        "LANG": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen",
        "FONTCONFIG_FILE": str(fonts.CONFIGURATION),
    }


def _run(command: list[str], stdin: bytes, environment: dict[str, str], timeout: float) -> tuple[int, bytes, bytes]:
    pipe = subprocess.PIPE
    try:
        process = launched(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    except OSError as error:
        raise RenderFailed(f"{command[0]} cannot be started: {error.strerror}") from error
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise RenderTimeout(f"wkhtmltopdf did not finish within {timeout:g} s") from error
        finally:
            # Also when this thread is interrupted (a worker's time limit or shutdown): nothing may be left running.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, stdout, stderr
