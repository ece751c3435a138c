"""What the documentation tells people to type is typed, on a running installation: every command that does no harm there.

Each ``paywindow``, ``curl`` and ``make`` command of the pages is either run here as it stands, or named here with the reason why
not; a new one in the documentation has to be put into one of the two.
"""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.documented_commands import ROOT, blocks, commands

#: Command -> the exit codes that are right for an installation in the middle of its tests (1: something was found).
RUN: dict[str, set[int]] = {
    "paywindow migrate": {0},
    "paywindow doctor": {0, 1},
    "paywindow doctor --json | jq '.findings[] | select(.level == \"fail\")'": {0},
    "paywindow doctor --audit": {0, 1},
    "paywindow doctor --audit --json": {0, 1},
    "paywindow doctor --audit --at-rest": {0, 1},
    "paywindow backlog": {0, 1},
    "paywindow backlog --limit 100 shares-refused": {0, 1},
    "paywindow backfill": {0},
    "paywindow dead list": {0},
    "paywindow receipts audit": {0},
    "paywindow pci-scan": {0},
    "paywindow reconcile": {0, 1},
    "paywindow reconcile --since 2026-01-01 --until 2026-02-01": {0, 1},
    "paywindow reconcile --since 2026-11-20 --repair": {0, 1},
    "paywindow reconcile --json": {0, 1},
    "paywindow sessions show SESSION_ID": {0},
    "paywindow sessions show $SESSION": {0},
    "paywindow sessions refund $SESSION --amount 75.50 --reason 'scratched'": {0},
    # Nothing is held: refused, and nothing changes.
    'paywindow sessions resolve SESSION_ID accept --reason "the seller agrees"': {1},
    'paywindow sessions resolve SESSION_ID refund --reason "the auction is sold"': {1},
    "paywindow sessions list --held --json | jq -r '.paymentSessions[].id'": {0},
    "paywindow keys create shop --scopes checkout+read": {0},
    "paywindow keys rotate shop": {0},
    "paywindow keys rotate shop --finish": {0},
    "paywindow openapi": {0},
    "paywindow notifications list --state waiting": {0},
    "paywindow notifications list --state dead": {0},
    # There is none of this id.
    "paywindow notifications show NOTIFICATION_ID": {1},
    'paywindow notifications replay NOTIFICATION_ID --reason "the receiver is back"': {1},
}
#: Words of commands that ask first. There is nobody to ask here.
_ASKING = ("--repair", "resolve", "refund")

_PROCESS = "runs until it is stopped; test_purchase.py and test_containers.py start it"
NOT_RUN: dict[str, str] = {
    "paywindow reconcile --repair": "the same with --since is run",
    "paywindow worker --role interactive --processes 2": _PROCESS,
    "paywindow worker --role sweeps": _PROCESS,
    "paywindow worker --role receipts": _PROCESS,
    "paywindow scheduler": _PROCESS,
    "paywindow front": _PROCESS,
    "paywindow --install-completion": "writes into the shell's own files",
    "paywindow --show-completion": "asks which shell it was started from; here, none",
}

#: `make` builds environments and installs packages; what its targets do is tested by itself.
MAKE: dict[str, str] = {
    "demo": "test_commands.py runs what it runs",
    "run": "test_commands.py runs what it runs",
    "test": "is running now",
    "chaos": "test_chaos.py runs what it runs",
    "lint": "runs beside the tests in .ci/run",
    "lock": "resolves all packages anew",
}

#: Pages whose curl commands are run, and by what.
CURL = {
    "README.md": "the two tests below",
    "quickstart.md": "test_quickstart.py",
    "buyers-page.md": "the second test below",
    "going-live.md": "makes endpoints at Stripe; unit tests compare version and events",
    "stripe-payments.md": "asks Stripe itself whether it is up",
}


@pytest.fixture(scope="module")
def environment(_installation: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An operator's shell beside the installation, with `paywindow` on its path."""
    stack = _installation.stack
    programs = tmp_path_factory.mktemp("bin")
    (programs / "paywindow").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m paywindow.cli "$@"\n')
    (programs / "paywindow").chmod(0o755)
    keys = f"shop:{stack.environment['SERVICE_KEYS'].partition(':')[2]}"
    return {
        **stack.environment,
        "PATH": f"{programs}:{stack.environment['PATH']}:{os.environ['PATH']}",
        "SERVICE_KEYS": keys,
        "URL": stack.front_url,
        "KEY": stack.service_key,
    }


def _type(text: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_every_documented_command_is_run_here_or_named_with_a_reason() -> None:
    assert {command.text for command in commands("paywindow")} == {*RUN, *NOT_RUN}
    assert {command.words[1] for command in commands("make")} == set(MAKE)
    assert {command.page for command in commands("curl")} == set(CURL)


def test_the_commands_of_operators_do_what_they_say(
    shop: Any, environment: dict[str, str], tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    require_program("jq")
    created = shop.open_session()
    shop.pay(created)
    shop.await_receipt(created)

    ended = {}
    for text in RUN:
        typed = text.replace("NOTIFICATION_ID", str(uuid.uuid4())).replace(
            "SESSION_ID", created["paymentSession"]["id"]
        )
        typed += " --yes" * any(word in text.split() for word in _ASKING)
        done = _type(typed, {**environment, "SESSION": created["paymentSession"]["id"]}, tmp_path)
        ended[text] = (done.returncode, done.stdout + done.stderr)

    assert {text: said for text, (code, said) in ended.items() if code not in RUN[text]} == {}
    assert not [said for _, said in ended.values() if "Traceback" in said]
    assert shop.status(created)["paymentSession"]["status"] == "completed"


def test_the_requests_of_the_readme_and_of_the_buyers_page_are_answered_as_they_say(
    shop: Any, environment: dict[str, str], tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    for program in ("curl", "openssl"):
        require_program(program)
    create, rest = (block for block in blocks(ROOT / "README.md", "sh") if "$URL" in block)
    (follow,) = (block for block in blocks(ROOT / "docs/buyers-page.md", "sh") if "$URL" in block)

    done = _type(_here(create), environment, tmp_path)
    created = json.loads(done.stdout)
    assert created["payUrl"].startswith(f"{shop.stack.front_url}/pay/")

    session = created["paymentSession"]["id"]
    # The stream goes on for as long as somebody listens.
    stream = _type(follow.replace("curl -N", "curl -N --max-time 3"), {**environment, "SESSION": session}, tmp_path)
    assert "event: status" in stream.stdout

    secret = shop.stack.environment["STRIPE_WEBHOOK_SECRET"]
    answers = _type(_here(rest, session).replace("whsec_local", secret), environment, tmp_path)
    assert answers.returncode == 0, answers.stderr
    assert [
        found for found in re.findall(r'"status": ?"(\w+)"', answers.stdout) if found in ("pending", "canceled")
    ] == [
        "pending",
        "canceled",
    ]
    assert answers.stdout.rstrip().endswith('{"received":true}')


def _here(block: str, session: str = "") -> str:
    """The block with this installation's address, key and session in place of those that it sets."""
    block = re.sub(r"^URL=\S+ KEY=\S+$", "", block, flags=re.MULTILINE)
    return re.sub(r"^SESSION=\S+", f"SESSION={session}", block, flags=re.MULTILINE)
