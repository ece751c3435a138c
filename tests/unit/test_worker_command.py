"""What ``paywindow worker`` becomes, without becoming it."""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from paywindow import metrics_server
from paywindow.cli import app
from paywindow.messages import ROLES
from paywindow.settings import Settings


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """How far the process stood back, then the command that replaced it."""
    found: list[object] = []
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(Settings, "load", lambda role: None)
    monkeypatch.setattr(metrics_server, "prepare_folder", lambda environment: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "nice", found.append)
    monkeypatch.setattr(os, "execv", lambda program, arguments: found.append(arguments))
    return found


@pytest.mark.parametrize(("role", "back"), [("interactive", 0), ("sweeps", 5), ("receipts", 15)])
def test_a_role_stands_back_as_far_as_its_work_can_wait(became: list[object], role: str, back: int) -> None:
    assert CliRunner().invoke(app, ["worker", "--role", role]).exit_code == 0

    nice, command = became
    assert nice == back
    assert isinstance(command, list)
    assert command[0] == sys.executable
    assert command[command.index("--queues") + 1 :] == list(ROLES[role])
