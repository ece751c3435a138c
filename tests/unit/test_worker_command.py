"""What ``paywindow worker`` makes of its role, without starting Dramatiq."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import dramatiq.cli
import pytest
from typer.testing import CliRunner

from paywindow import logs, metrics_server
from paywindow.cli import app
from paywindow.messages import ROLES
from paywindow.settings import Settings


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """How far the process stood back, then what Dramatiq's master was told."""
    found: list[object] = []
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(Settings, "load", lambda role: None)
    monkeypatch.setattr(logs, "configure", lambda settings, role: None)
    monkeypatch.setattr(metrics_server, "prepare_folder", lambda environment: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "nice", found.append)
    monkeypatch.setattr(os, "getpriority", lambda which, who: 0)
    monkeypatch.setattr(sys, "argv", ["paywindow", "worker"])
    monkeypatch.setattr(dramatiq.cli, "main", found.append)
    return found


@pytest.mark.parametrize(("role", "back"), [("interactive", 0), ("sweeps", 5), ("receipts", 15)])
def test_a_role_stands_back_as_far_as_its_work_can_wait(begun: list[object], role: str, back: int) -> None:
    assert CliRunner().invoke(app, ["worker", "--role", role]).exit_code == 0

    nice, told = begun
    assert nice == back
    assert isinstance(told, Namespace)
    assert told.queues == list(ROLES[role])
    assert told.skip_logging


def test_who_stands_back_already_does_so_no_further(begun: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpriority", lambda which, who: 15)

    assert CliRunner().invoke(app, ["worker", "--role", "sweeps"]).exit_code == 0

    assert begun[0] == 0


def test_what_the_master_runs_again_on_sighup_can_be_run(begun: list[object]) -> None:
    CliRunner().invoke(app, ["worker", "--role", "sweeps"])

    assert sys.argv == [sys.executable, "-m", "paywindow.cli", "worker"]


def test_the_master_counts_nothing_before_its_folder_for_counters_is_there() -> None:
    """What it has imported is what its workers begin with, and prometheus_client chooses where to count as it is imported."""
    imports = "import paywindow.cli, dramatiq.cli, paywindow.logs, paywindow.metrics_server, paywindow.messages"
    script = f"import sys; {imports}; sys.exit('prometheus_client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
