"""Receipts: they can be drawn, with every script's font, and stored."""

import os
import shutil
import subprocess
from collections.abc import Iterator

from paywindow.cli.doctor.findings import Finding, Part, first_line
from paywindow.settings import Settings

_PART = Part("receipts")
_TIMEOUT_SECONDS = 10


def check(settings: Settings) -> Iterator[Finding]:
    """Findings about drawing and storing."""
    yield _renderer()
    yield _fonts()
    if settings.payment_receipt_bucket is None:
        yield from _folder(settings)
    else:
        yield from _bucket(settings)


def _renderer() -> Finding:
    path = shutil.which("wkhtmltopdf")
    if path is None:
        return _PART.fail("wkhtmltopdf", "not on PATH", "install Debian's package wkhtmltopdf")
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return _PART.fail("wkhtmltopdf", first_line(error), "install Debian's package wkhtmltopdf anew")
    return _PART.ok("wkhtmltopdf", done.stdout.strip())


def _fonts() -> Finding:
    from paywindow.receipts.fonts import FAMILIES, missing_fonts

    try:
        missing = missing_fonts()
    except (OSError, subprocess.SubprocessError) as error:
        return _PART.warn("fonts", first_line(error), "install Debian's package fontconfig")
    if missing:
        return _PART.fail("fonts", f"missing: {', '.join(missing)}", f"install {' '.join(sorted(missing.values()))}")
    return _PART.ok("fonts", ", ".join(FAMILIES))


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.receipt_folder.absolute()
    # A worker makes the folder when it stores the first document.
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    remedy = f"let the receipt workers write to {existing}, or set RECEIPT_FOLDER"
    yield _PART.judge(writable, "folder", f"{folder} {'is' if writable else 'is not'} writable", remedy)
    if settings.live:
        yield _PART.warn("storage", "a folder, with a live key", "set PAYMENT_RECEIPT_BUCKET, or back the folder up")


def _bucket(settings: Settings) -> Iterator[Finding]:
    from paywindow.errors import PaywindowError
    from paywindow.receipts.bucket_check import inspect
    from paywindow.receipts.stores import open_store

    try:
        open_store(settings)
    except PaywindowError as error:
        yield _PART.fail("CloudFront key", first_line(error), "set RECEIPT_CLOUDFRONT_PRIVATE_KEY to a PEM of RSA")
    else:
        if settings.payment_receipt_cloudfront_distribution is not None:
            yield _PART.ok("CloudFront key", f"signs for {settings.payment_receipt_cloudfront_distribution}")
    for name, problem, found, remedy in inspect(settings):
        yield _PART.fail(name, problem, remedy) if problem else _PART.ok(name, found)
