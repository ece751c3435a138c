"""One browser for all tests of the buyer's page, on the installation that the end-to-end tests share.

`PAYWINDOW_PICTURES=docs/images` has the pictures of the documentation taken anew.
"""

import base64
import copy
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from paywindow import jsons
from paywindow.cli.browser_demo import ARGUMENTS
from paywindow.keys import BuyerTokens
from paywindow.published import Publisher, Snapshot

_TO_WEBP = """
async (png) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const webp = await canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
  return btoa(String.fromCharCode(...new Uint8Array(await webp.arrayBuffer())));
}
"""
PHONE = {"width": 390, "height": 844}
#: The machine may be busy. Only so that a broken page fails a test and does not hang it.
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser(require_program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium. Ended with the module: while it lives, no test of the same process can run an event loop."""
    program = require_program("chromium")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a buyer's phone; more as for Playwright's ``new_context``."""
    made: list[BrowserContext] = []

    def make(**more: Any) -> BrowserContext:
        usual = {"viewport": PHONE, "locale": "en-US", "timezone_id": "UTC", "accept_downloads": True}
        context = browser.new_context(**{**usual, **more})
        context.set_default_timeout(_PATIENCE_MS)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def context(open_context: Callable[..., BrowserContext]) -> BrowserContext:
    """The phone of a buyer who speaks English."""
    return open_context()


@pytest.fixture
def open_page() -> Iterator[Callable[[BrowserContext], Page]]:
    """Opens tabs in which no script may fail and no policy be broken; being offline on purpose is no failure."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Asked for by the browser's own PDF viewer and on Stripe's page, where there is none.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            errors.append(f"{message.text} {message.location['url']}")

    def make(context: BrowserContext) -> Page:
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", note)
        return tab

    yield make
    assert [error for error in errors if "ERR_INTERNET_DISCONNECTED" not in error] == []


@pytest.fixture
def page(context: BrowserContext, open_page: Callable[[BrowserContext], Page]) -> Page:
    """A tab on the buyer's phone."""
    return open_page(context)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Take a picture of the page, as high as its content; kept for the documentation when asked for."""
    wanted = os.environ.get("PAYWINDOW_PICTURES")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("pictures")

    def take(page: Page, name: str) -> None:
        if wanted:
            picture = page.screenshot(clip=_content(page))
            (folder / f"{name}.webp").write_bytes(_as_webp(page.context, picture))

    return take


def _content(page: Page) -> Any:
    width = page.viewport_size["width"]  # type: ignore[index] # every context of ours has one
    height = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)")
    return {"x": 0, "y": 0, "width": width, "height": height}


def _as_webp(context: BrowserContext, png: bytes) -> bytes:
    """The same picture in a third of the size; the browser itself converts it."""
    tab = context.new_page()
    text = tab.evaluate(_TO_WEBP, base64.b64encode(png).decode())
    tab.close()
    return base64.b64decode(text)


def type_card(page: Page, number: str) -> None:
    """Fill in the hosted page and press its button."""
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_label("Name on card").fill("A. Winner")
    page.get_by_role("button", name="Pay").click()


@pytest.fixture(name="type_card")
def _type_card() -> Callable[[Page, str], None]:
    """``type_card(page, number)``: fill in the hosted page and press its button."""
    return type_card


_ENDED_MS = 60_000
_CARD = {"brand": "visa", "last4": "4242"}
_RECEIPT = {"id": str(uuid.uuid4()), "number": "R-2026-000041", "ready": True, "downloadUrl": "https://pay.example/r"}
_NOTE = {"id": str(uuid.uuid4()), "number": "C-2026-000007", "ready": True, "downloadUrl": "https://pay.example/c"}
_PART, _ALL = [{"amount": 50, "status": "succeeded"}], [{"amount": 275.5, "status": "succeeded"}]
_NO_PAGE = {"stripeCheckoutUrl": None}
_DECLINED = {"status": "failed", "failure": {"code": "insufficient_funds", "message": "No funds."}}

#: Every state that the page shows: changes to the session, and to the parts beside it.
STATES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "preparing": (_NO_PAGE, {}),
    "pending": ({}, {}),
    "failed": (_DECLINED, {}),
    "failed-retry": ({**_DECLINED, **_NO_PAGE}, {"retry": {"count": 1, "left": 2, "canRetry": True, "retryAt": None}}),
    "failed-over": ({**_DECLINED, **_NO_PAGE}, {"retry": {"count": 3, "left": 0, "canRetry": False, "retryAt": None}}),
    "processing": ({"status": "processing", **_NO_PAGE}, {}),
    "paid": (
        {"status": "completed", **_NO_PAGE},
        {"transaction": {"status": "succeeded", "card": _CARD}, "receipt": _RECEIPT},
    ),
    "refunded": (
        {"status": "completed", **_NO_PAGE},
        {
            "transaction": {"status": "refunded", "card": _CARD},
            "refunds": _ALL,
            "receipt": _RECEIPT,
            "creditNotes": [_NOTE],
        },
    ),
    "partially-refunded": (
        {"status": "completed", **_NO_PAGE},
        {
            "transaction": {"status": "partially_refunded", "card": _CARD},
            "refunds": _PART,
            "receipt": _RECEIPT,
            "creditNotes": [_NOTE],
        },
    ),
    "expired": ({"status": "expired", **_NO_PAGE}, {}),
    "canceled": ({"status": "canceled", **_NO_PAGE}, {}),
    "held": ({"hold": {"reason": "paid_late", "since": "2026-11-24T10:30:00Z"}, **_NO_PAGE}, {}),
    "closing": ({"closing": True, **_NO_PAGE}, {}),
}


class Stage:
    """Shows any state of the page without the events that lead to it: publishes it as the workers would.

    What is published is the document of a real session, with a few of its values changed.
    """

    def __init__(self, shop: Any) -> None:
        environment = shop.stack.environment
        self._front_url = shop.stack.front_url
        self._state = redis.Redis.from_url(environment["REDIS_URL"].removesuffix("/0") + "/1")
        self._tokens = BuyerTokens([environment["BUYER_TOKEN_SECRETS"]])
        created = shop.open_session()
        token = created["payUrl"].partition("token=")[2]
        answer = requests.get(
            f"{self._front_url}/payments/checkout/{created['paymentSession']['id']}/status",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        self._real = jsons.loads(answer.text)

    def show(self, state: str, *, ended: bool = False, version: int = 7, session_id: Any = None, **session: Any) -> str:
        """Publish a session in a state; its link. ``ended``: the buyer's link is over; ``session``: more changes to it."""
        changes, beside = STATES[state]
        identifier = session_id or uuid.uuid4()
        document = copy.deepcopy(self._real) | beside
        document["paymentSession"] |= {"id": str(identifier), "version": version, **changes, **session}
        text = jsons.dumps(document)
        now = int(time.time() * 1000)
        day = 86_400_000
        timed = state in ("preparing", "pending", "failed", "failed-retry", "failed-over", "closing")
        closes_ms = (now - _ENDED_MS if state == "closing" else now + day - 3_120_000) if timed else 0
        self._publish(identifier, version, text, expires_ms=1000 if ended else now, closes_ms=closes_ms)
        return f"{self._front_url}/pay/{identifier}?token={self._tokens.issue(identifier)}"

    def _publish(self, identifier: uuid.UUID, version: int, text: str, *, expires_ms: int, closes_ms: int) -> None:
        snapshot = Snapshot(version, text, text, text, text, expires_ms, closes_ms)
        Publisher(self._state).session(identifier, snapshot)

    def close(self) -> None:
        """Let go of Redis."""
        self._state.close()


@pytest.fixture(scope="session")
def stage(_installation: Any) -> Iterator[Stage]:
    """``stage.show("failed", locale="ar")``: the address of a page in that state."""
    made = Stage(_installation)
    yield made
    made.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``state`` runs for every one of them."""
    if "state" in metafunc.fixturenames:
        metafunc.parametrize("state", STATES)
