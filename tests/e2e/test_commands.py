"""``paywindow demo`` and ``paywindow dev`` as a person runs them; whatever ends them, no process stays behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from paywindow.hosted_page import PAYS, submit_card

PAYWINDOW = [sys.executable, "-m", "paywindow.cli"]


@pytest.fixture
def environment(tmp_path: Path, require_program: Callable[[str], str]) -> dict[str, str]:
    """An environment with none of the developer's own settings, and temporary files where they can be counted."""
    require_program("wkhtmltopdf")
    (tmp_path / "tmp").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp"), "LANG": "C.UTF-8"}


def _descendants(process: psutil.Process) -> set[psutil.Process]:
    try:
        return set(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def _living(processes: set[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_demo_buys_prints_its_course_and_leaves_only_receipts(
    tmp_path: Path, environment: dict[str, str], until: Any
) -> None:
    output, log = tmp_path / "receipts", tmp_path / "demo.log"
    with log.open("wb") as file:
        demo = subprocess.Popen(
            [*PAYWINDOW, "demo", "--output", str(output)],
            env=environment,
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process, seen = psutil.Process(demo.pid), set[psutil.Process]()

    def ended() -> bool:
        seen.update(_descendants(process))
        return demo.poll() is not None

    until(ended, "the demo to end")

    text = log.read_text()
    assert demo.returncode == 0, text
    for step in ("POST /payments/checkout/create → 201", "declined", "checkout.session.completed → completed", " s │ "):
        assert step in text
    receipts = sorted(output.glob("*.pdf"))
    assert len(receipts) == 3
    for receipt in receipts:
        assert receipt.read_bytes().startswith(b"%PDF-")
        assert f"Receipt: {receipt}\n" in text
    assert len(seen) >= 10  # Postgres and its own, Redis, sandbox, three workers with their forks, scheduler, front
    assert _living(seen) == []
    assert list((tmp_path / "tmp").iterdir()) == []


class Dev:
    """A running ``paywindow dev`` that has printed its links."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log
        self.family = _descendants(psutil.Process(process.pid))
        text = log.read_text()
        self.pay_url = self._find(r"(http://\S+/pay/\S+\?token=\S+)", text)
        self.checkout_url = self._find(r"(http://\S+/c/pay/\S+)", text)
        self.key = self._find(r"Service key\s+(pwk_\S+)", text)
        self.front = self.pay_url.partition("/pay/")[0]

    def ports(self) -> list[int]:
        """Where the family listens."""
        connections = [each for process in self.family for each in process.net_connections("tcp")]
        return sorted({each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN})

    @staticmethod
    def _find(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match is not None, text
        return match[1]


@contextmanager
def _dev(tmp_path: Path, environment: dict[str, str], until: Any) -> Iterator[Dev]:
    log = tmp_path / "dev.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*PAYWINDOW, "dev", "--folder", str(tmp_path / "data")],
            env=environment,
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: "Ctrl-C stops everything" in log.read_text() or process.poll() is not None, "the links")
        assert process.poll() is None, log.read_text()
        yield Dev(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _buy(dev: Dev, until: Any) -> None:
    session_id = re.search(r"/pay/([0-9a-f-]+)", dev.pay_url)
    assert session_id is not None
    url = f"{dev.front}/payments/checkout/{session_id[1]}/status"

    def receipt_is_ready() -> bool:
        found = requests.get(url, headers={"Authorization": f"Bearer {dev.key}"}, timeout=30).json()
        return bool((found["receipt"] or {}).get("ready"))

    assert requests.get(dev.pay_url, timeout=30).status_code == 200
    assert submit_card(dev.checkout_url, PAYS)
    until(receipt_is_ready, "the receipt")


def _findings_beside(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What the doctor complains about, run from another shell with the settings that ``dev`` left there."""
    command = f'set -e; . {folder}/env; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *PAYWINDOW, "doctor", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert (done.returncode == 0) == all(each["level"] != "fail" for each in found)
    return [each for each in found if each["level"] != "ok"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda signum: signum.name)
def test_dev_prints_links_sells_and_leaves_no_process_when_it_is_ended(
    ending: signal.Signals, tmp_path: Path, environment: dict[str, str], until: Any
) -> None:
    with _dev(tmp_path, environment, until) as dev:
        _buy(dev, until)
        until(lambda: _findings_beside(tmp_path / "data", environment) == [], "a doctor without complaints")
        family, ports = dev.family | _descendants(psutil.Process(dev.process.pid)), dev.ports()
        assert len(ports) >= 4  # Postgres, Redis, the sandbox, the front end; metrics

        dev.process.send_signal(ending)
        until(lambda: dev.process.poll() is not None, "paywindow dev to end")

        assert dev.process.returncode == (-ending if ending == signal.SIGKILL else 0), dev.log.read_text()
        if ending == signal.SIGKILL:
            until(lambda: not _living(family), "the orphans to end")
        assert _living(family) == []
        assert [port for port in ports if not _port_is_free(port)] == []
