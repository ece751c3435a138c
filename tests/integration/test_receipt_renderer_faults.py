"""A renderer that hangs, crashes, lies or is missing: ended in time, named clearly, nothing left behind."""

import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paywindow.receipts.data import Issuer, Line, ReceiptData
from paywindow.receipts.fonts import missing_fonts
from paywindow.receipts.render import render_pdf
from paywindow.receipts.wkhtmltopdf import RenderFailed, RenderTimeout, html_to_pdf


def renderer(folder: Path, script: str) -> str:
    """A wkhtmltopdf of our own."""
    path = folder / "wkhtmltopdf"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_renderer_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    # Given a renderer whose child keeps a lock for as long as it lives
    lock = tmp_path / "lock"
    hanging = renderer(tmp_path, f"flock {lock} sleep 600 & \n wait")

    with pytest.raises(RenderTimeout, match=r"within 0\.3 s"):
        html_to_pdf("<p>", timeout_seconds=0.3, executable=hanging)

    # Then the lock is free
    subprocess.run(["flock", "--wait", "60", str(lock), "true"], check=True)


def test_a_renderer_that_does_not_read_is_killed(tmp_path: Path) -> None:
    with pytest.raises(RenderTimeout):
        html_to_pdf("x" * 1_000_000, timeout_seconds=0.3, executable=renderer(tmp_path, "exec sleep 600"))


def test_a_crash_is_reported_with_the_end_of_stderr(tmp_path: Path) -> None:
    crashing = renderer(tmp_path, "head -c 9000 /dev/zero | tr '\\0' x >&2; echo 'Segmentation fault' >&2; exit 139")

    with pytest.raises(RenderFailed, match=r"code 139 and 0 bytes: x+Segmentation fault") as caught:
        html_to_pdf("<p>", executable=crashing)

    assert len(str(caught.value)) < 2200


@pytest.mark.parametrize("script", ["exit 0", "echo not a PDF", "printf '%%PDF-1.4'; exit 1"])
def test_what_is_not_a_good_pdf_is_a_failure(tmp_path: Path, script: str) -> None:
    with pytest.raises(RenderFailed):
        html_to_pdf("<p>", executable=renderer(tmp_path, script))


def test_half_a_pdf_is_a_failure(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 14, tzinfo=UTC)
    data = ReceiptData(
        number="R-2026-000123",
        issued_at=moment,
        paid_at=moment,
        issuer=Issuer(name="Gavel & Loom Ltd"),
        lines=(Line(description="Vase", unit_amount=5, amount=5),),
        total=5,
        currency="USD",
    )

    with pytest.raises(RenderFailed, match="broken PDF of 13 bytes"):
        render_pdf(data, executable=renderer(tmp_path, "printf '%%PDF-1.4\\n1 0 '"))


def test_a_missing_renderer_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RenderFailed, match="apt-get install wkhtmltopdf"):
        html_to_pdf("<p>")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("#!/nowhere\n")])
def test_a_renderer_that_cannot_start_is_a_failure(tmp_path: Path, make: object) -> None:
    path = tmp_path / "wkhtmltopdf"
    assert callable(make)
    make(path)

    with pytest.raises(RenderFailed, match=r"cannot be (read|started)"):
        html_to_pdf("<p>", executable=str(path))


def test_the_renderer_sees_no_secret_and_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_not_for_the_renderer")
    seen = tmp_path / "seen"
    spying = renderer(tmp_path, f"env > {seen}; touch $TMPDIR/buyer.html; exit 1")

    with pytest.raises(RenderFailed):
        html_to_pdf("<p>", executable=spying)

    environment = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert "STRIPE_SECRET_KEY" not in environment
    assert not Path(environment["TMPDIR"]).exists()
    assert environment["TMPDIR"] != os.environ.get("TMPDIR")


def test_missing_fonts_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fc_list = tmp_path / "fc-list"
    fc_list.write_text("#!/bin/sh\necho 'Liberation Sans'; echo 'DejaVu Sans,DejaVu Sans Condensed'\n")
    fc_list.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert missing_fonts() == {"Noto Sans Arabic UI": "fonts-noto-ui-core", "IPAPGothic": "fonts-ipafont-gothic"}
