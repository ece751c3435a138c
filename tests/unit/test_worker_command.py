"""What ``paywindow worker`` makes of its role, without starting Dramatiq."""

import os
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
