"""A person buys with a real browser: the buyer's page, the hosted page, and back to the receipt.

`PAYWINDOW_PICTURES=docs/images` has the pictures of the documentation taken anew.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect, sync_playwright

PHONE = {"width": 390, "height": 844}
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
# The pages poll every few seconds, and the machine may be busy.
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def phone(require_program: Callable[[str], str]) -> Iterator[BrowserContext]:
    """A browser with the screen of a phone."""
    program = require_program("chromium")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        context = browser.new_context(viewport=PHONE, locale="en-US", timezone_id="UTC", accept_downloads=True)
        context.set_default_timeout(_PATIENCE_MS)
        yield context
        browser.close()


@pytest.fixture
def page(phone: BrowserContext) -> Iterator[Page]:
    """A tab in which no script fails and no policy is broken."""
    tab = phone.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Asked for by the browser's own PDF viewer and on Stripe's page, where there is none.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            errors.append(f"{message.text} {message.location['url']}")

    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", note)
    yield tab
    tab.close()
    assert errors == []


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], None]:
    """Take a picture of the page; kept for the documentation when asked for."""
    folder = Path(os.environ.get("PAYWINDOW_PICTURES", tmp_path))

    def take(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return take


def _type_card(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_label("Name on card").fill("A. Winner")
    page.get_by_role("button", name="Pay").click()


def test_a_person_buys_with_a_browser(shop: Any, page: Page, picture: Callable[[Page, str], None]) -> None:
    created = shop.open_session()

    page.goto(created["payUrl"])
    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    expect(page.get_by_role("heading", name="Pay for your auction win")).to_be_visible()
    expect(page.get_by_text("Walnut side table")).to_be_visible()
    picture(page, "pay-pending")

    page.get_by_role("link", name="Pay $275.50").click()
    expect(page.get_by_role("heading", name="Pay", exact=True)).to_be_visible()
    picture(page, "hosted")
    _type_card(page, "4242 4242 4242 4242")

    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    link = page.get_by_role("link", name="Download the PDF")
    expect(link).to_be_visible()  # the page reloads itself once the receipt is there
    picture(page, "pay-paid")
    with page.expect_response("**/payments/receipts/files/**") as opened:
        link.click()
    assert opened.value.headers["content-type"] == "application/pdf"
    # The browser's own viewer shows it; what came is read by the address.
    receipt = page.request.get(opened.value.url)
    assert receipt.body().startswith(b"%PDF-")
    number = shop.await_receipt(created)["receipt"]["number"]
    assert receipt.headers["content-disposition"] == f'inline; filename="{number}.pdf"'
    shop.assert_settled_once(created)


def test_a_person_whose_card_is_declined_pays_with_another(
    shop: Any, phone: BrowserContext, picture: Callable[[Page, str], None]
) -> None:
    created = shop.open_session()
    page, hosted = phone.new_page(), phone.new_page()
    page.goto(created["payUrl"])
    hosted.goto(created["paymentSession"]["stripeCheckoutUrl"])

    _type_card(hosted, "4000 0000 0000 0002")

    expect(hosted.get_by_role("alert")).to_contain_text("Payment failed")
    # The other tab learns of it by itself.
    expect(page.get_by_role("heading", name="The payment did not go through")).to_be_visible()
    expect(page.get_by_text("You have not been charged.")).to_be_visible()
    picture(page, "pay-failed")

    _type_card(hosted, "4242 4242 4242 4242")

    expect(hosted.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    shop.await_receipt(created)
    shop.assert_settled_once(created)


def test_a_link_that_was_tampered_with_opens_nothing(shop: Any, phone: BrowserContext) -> None:
    created = shop.open_session()
    page = phone.new_page()

    answer = page.goto(created["payUrl"] + "x")

    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(page.get_by_text("Walnut side table")).to_have_count(0)
