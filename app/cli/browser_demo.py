"""What ``paywindow demo --browser`` shows: a purchase by a person, with a real browser on a real page.

The marketplace opens the payment; a browser on a phone's screen follows the link, presses the button, types a card that is
declined and then one that pays, and comes back to the receipt.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from paywindow.cli.demo import Marketplace, Timeline
from paywindow.embedded.errors import EmbeddedError
from paywindow.embedded.stack import Stack
from paywindow.hosted_page import DECLINES, PAYS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: For Chromium without a display, as root, and without asking the network for anything but our pages.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_PHONE: Any = {"width": 390, "height": 844}
_PATIENCE_MS = 60_000


def run_browser_demo(console: Console, stack: Stack, output: Path) -> None:
    """Buy, print the course, leave pictures and receipt in ``output``.

    Raises :class:`EmbeddedError` when there is no browser, or when the purchase does not come out right.
    """
    program = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        raise EmbeddedError("no browser is installed: apt-get install chromium")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        raise EmbeddedError("the browser needs Playwright: pip install playwright") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            timeline, pictures = buy(browser, stack, output)
        except Error as error:
            raise EmbeddedError(f"the purchase in the browser went wrong: {error.message}") from error
        finally:
            browser.close()
    timeline.show(console, "A person buys with a browser")
    for picture in pictures:
        console.print(f"Picture: {picture}", soft_wrap=True, highlight=False, markup=False)


def buy(browser: "Browser", stack: Stack, output: Path) -> tuple[Timeline, list[Path]]:
    """One purchase in a browser: its course, with the receipt, and the pictures taken. Raises Playwright's errors."""
    output.mkdir(parents=True, exist_ok=True)
    timeline, pictures = Timeline(), list[Path]()
    context = browser.new_context(viewport=_PHONE, locale="en-US", timezone_id="UTC")
    context.set_default_timeout(_PATIENCE_MS)
    page = context.new_page()

    def note(who: str, what: str, picture: str) -> None:
        timeline.note(who, what)
        pictures.append(output / f"browser-{len(pictures) + 1}-{picture}.png")
        page.screenshot(path=pictures[-1])

    created = Marketplace(stack).create("Walnut side table", "275.50")
    timeline.note("marketplace", "POST /payments/checkout/create → 201, sends the buyer to payUrl")
    try:
        page.goto(created["payUrl"])
        page.get_by_role("timer").wait_for()
        note("buyer", f"sees “{_headline(page)}”, the time runs", "pending")
        page.locator("#pay").click()
        _type_card(page, DECLINES)
        page.get_by_role("alert").wait_for()
        note("buyer", "types a card on Stripe's page: declined", "declined")
        _type_card(page, PAYS)
        page.get_by_role("link", name="Download").wait_for()
        note("buyer", f"types another card: “{_headline(page)}”", "paid")
        timeline.receipt = _receipt(page, output)
        timeline.note("buyer", "downloads the receipt from the page")
    finally:
        context.close()
    return timeline, pictures


def _headline(page: "Page") -> str:
    return page.locator("h1").inner_text()


def _type_card(page: "Page", number: str) -> None:
    for label, text in (
        ("Card number", number),
        ("Expiry", "12 / 34"),
        ("Security code", "123"),
        ("Name on card", "A. Winner"),
    ):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Pay").click()


def _receipt(page: "Page", output: Path) -> Path:
    """Follow the page's link as the browser would, with its cookie; the file."""
    address = page.get_by_role("link", name="Download").get_attribute("href") or ""
    answer = page.request.get(page.evaluate("path => new URL(path, location.href).href", address))
    if not answer.body().startswith(b"%PDF-"):
        raise EmbeddedError(f"the receipt is no PDF but {answer.status}")
    number = page.locator(".document .item").inner_text().split()[-1]
    path = output / f"{number}.pdf"
    path.write_bytes(answer.body())
    return path
