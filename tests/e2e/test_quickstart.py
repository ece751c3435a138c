"""The quickstart does what it says: its commands and programs are run as they stand, and a buyer pays meanwhile."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text()
NUMBER = r"R-\d{4}-\d{6}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def buyer(shop: Any, until: Callable[..., Any]) -> Iterator[Callable[[], Future[None]]]:
    """Somebody who pays, as soon as it is opened, the next session that has not been there before."""
    known = {row["id"] for row in shop.rows("SELECT id FROM payment_sessions")}

    def opened() -> str | None:
        rows = shop.rows(
            "SELECT s.id FROM payment_sessions s JOIN checkout_attempts a ON a.session_id = s.id AND a.status = 'open'"
        )
        return next((row["id"] for row in rows if row["id"] not in known), None)

    def pay() -> None:
        shop.pay({"paymentSession": {"id": str(until(opened, "a session to pay"))}})

    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(pay)


def run(shop: Any, command: list[str], folder: Path) -> str:
    environment = {**os.environ, "URL": shop.stack.front_url, "KEY": shop.stack.service_key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_open_a_window_wait_for_the_payment_and_fetch_the_receipt(
    shop: Any, buyer: Callable[[], Future[None]], require_program: Callable[[str], str], tmp_path: Path
) -> None:
    require_program("jq")
    require_program("curl")
    paying = buyer()
    said = run(shop, ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("sh"))], tmp_path)
    paying.result()

    assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF")
    assert f"{shop.stack.front_url}/pay/" in said
    assert said.count('"status":"completed"') == 1


def test_the_python_program_does_the_same(shop: Any, buyer: Callable[[], Future[None]], tmp_path: Path) -> None:
    (program,) = blocks("python")
    paying = buyer()
    said = run(shop, [sys.executable, "-c", program], tmp_path)
    paying.result()

    assert re.search(rf"{NUMBER} \d{{4,}} bytes", said)


def test_the_javascript_program_does_the_same(
    shop: Any, buyer: Callable[[], Future[None]], require_program: Callable[[str], str]
) -> None:
    # In a browser, since there is one here: it has the same fetch as a server, but for the environment.
    from playwright.sync_api import sync_playwright

    (program,) = blocks("js")
    environment = {"env": {"URL": shop.stack.front_url, "KEY": shop.stack.service_key}}
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_program("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{shop.stack.front_url}/docs")
        paying = buyer()
        page.evaluate(f"async (process) => {{ {program} }}", environment)
        paying.result()
        browser.close()

    assert re.search(rf"{NUMBER} \d{{4,}} bytes", said[-1])
