"""What `paywindow worker` asks of Dramatiq."""

import logging
import sys
from argparse import Namespace
from pathlib import Path

import dramatiq.cli
import pytest
from typer.testing import CliRunner

from paywindow import broker
from paywindow.cli import app
from paywindow.metrics_server import FOLDER_VARIABLE


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Namespace:
    """The arguments of a master that `paywindow worker` starts."""
    environment = {
        "DATABASE_URL": "postgresql://app@127.0.0.1/pay",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "STRIPE_SECRET_KEY": "sk_test_secret",
        "BUYER_TOKEN_SECRETS": "a-secret",
        "PUBLIC_URL": "https://pay.example/",
        "RECEIPT_URL_SECRET": "another-secret",
        FOLDER_VARIABLE: str(tmp_path / "metrics"),
        # Set by the command where nobody else did.
        "dramatiq_restart_delay": "500",
        "DATABASE_POOL_SIZE": "8",
    }
    found: list[Namespace] = []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setattr(dramatiq.cli, "main", lambda arguments: found.append(arguments) or 0)
    monkeypatch.setattr("paywindow.logs.configure", lambda *_: logging.getLogger())
    answer = CliRunner().invoke(app, ["worker", "--role", "interactive"])
    assert answer.exit_code == 0, answer.output
    (arguments,) = found
    return arguments


def test_a_process_that_dies_as_it_starts_is_missed_no_later_than_its_messages(started: Namespace) -> None:
    # The master looks at nothing else while it waits for its processes to have started.
    assert started.worker_fork_timeout <= broker.HEARTBEAT_TIMEOUT_MS
