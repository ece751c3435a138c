"""A person buys with a real browser: the buyer's page, the hosted page, and back to the receipt."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import APIResponse, Browser, BrowserContext, Page, expect

from paywindow.cli import browser_demo

PAYS, DECLINES = "4242 4242 4242 4242", "4000 0000 0000 0002"
_WAY_TO_PAY = "#way-to-pay"


def download(page: Page, press: Callable[[], None]) -> APIResponse:
    """What the browser would get by pressing, with its cookies; its own viewer for PDFs is kept out of it."""
    page.route("**/payments/receipts/**", lambda route: route.fulfill(status=204))
    with page.expect_request("**/payments/receipts/*/download") as asked:
        press()
    page.unroute("**/payments/receipts/**")
    return page.request.get(asked.value.url)


def test_a_person_buys_with_a_browser(shop: Any, page: Page, type_card: Callable[[Page, str], None]) -> None:
    created = shop.open_session()

    page.goto(created["payUrl"])
    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    expect(page.get_by_role("heading", name="Pay for your auction win")).to_be_visible()
    expect(page.get_by_text("Walnut side table")).to_be_visible()
    page.get_by_role("link", name="Pay $275.50").click()
    expect(page.get_by_role("heading", name="Pay", exact=True)).to_be_visible()
    type_card(page, PAYS)

    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    link = page.get_by_role("link", name="Download the PDF")
    expect(link).to_be_visible()  # the page renews itself once the receipt is there
    receipt = download(page, link.click)
    assert receipt.headers["content-type"] == "application/pdf"
    assert receipt.body().startswith(b"%PDF-")
    number = shop.await_receipt(created)["receipt"]["number"]
    assert receipt.headers["content-disposition"] == f'inline; filename="{number}.pdf"'
    shop.assert_settled_once(created)


def test_a_person_whose_card_is_declined_pays_with_another_while_a_second_tab_follows(
    shop: Any,
    context: BrowserContext,
    open_page: Callable[[BrowserContext], Page],
    type_card: Callable[[Page, str], None],
) -> None:
    # Given: the same purchase in two tabs, one of them at Stripe; the other may not poll
    created = shop.open_session()
    page, other = open_page(context), context.new_page()
    page.route("**/status", lambda route: route.abort())
    page.goto(created["payUrl"])
    page.locator("#pay").focus()
    page.evaluate("document.body.dataset.kept = 'yes'")
    other.goto(created["payUrl"])
    other.get_by_role("link", name="Pay $275.50").click()
    # When: the card is declined
    type_card(other, DECLINES)
    expect(other.get_by_role("alert")).to_contain_text("Payment failed")
    # Then: the tab that watches learns of it from the stream, without being loaded again, and says so to a screen reader
    expect(page.get_by_role("heading", name="The payment did not go through")).to_be_visible()
    expect(page.get_by_text("The card was declined.")).to_be_visible()
    expect(page.get_by_text("You have not been charged.")).to_be_visible()
    expect(page.locator("#news")).to_have_text("The payment did not go through")
    expect(page).to_have_title("The payment did not go through · $275.50")
    # And: the focus is still on the button
    expect(page.locator("#pay")).to_be_focused()
    # When: another card pays
    type_card(other, PAYS)
    # Then: both tabs say so, the button is gone, and the focus with it to the headline
    expect(other.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    expect(page.locator(_WAY_TO_PAY)).to_have_count(0)
    expect(page.locator("#headline")).to_be_focused()
    assert page.evaluate("document.body.dataset.kept") == "yes"
    shop.await_receipt(created)
    shop.assert_settled_once(created)
    # And: once all is there, the stream is closed
    page.wait_for_function("() => stream === null")


def test_without_a_stream_the_page_polls(stage: Any, context: BrowserContext) -> None:
    session_id = uuid.uuid4()
    page = context.new_page()
    page.route("**/events", lambda route: route.fulfill(status=503, body="{}"))
    page.goto(stage.show("pending", session_id=session_id))
    expect(page.get_by_role("link", name="Pay $275.50")).to_be_visible()
    stage.show("processing", session_id=session_id, version=8)
    expect(page.get_by_role("heading", name="Your payment is being processed")).to_be_visible()


def test_back_after_paying_shows_that_it_is_paid(shop: Any, page: Page, type_card: Callable[[Page, str], None]) -> None:
    created = shop.open_session()
    page.goto(created["payUrl"])
    page.get_by_role("link", name="Pay $275.50").click()
    hosted = page.url
    type_card(page, PAYS)
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()

    # Back to Stripe's page, which takes no second payment, and back to ours.
    page.go_back()
    expect(page).to_have_url(hosted)
    expect(page.get_by_label("Card number")).to_have_count(0)
    page.go_back()

    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    expect(page.locator(_WAY_TO_PAY)).to_have_count(0)
    shop.await_receipt(created)
    shop.assert_settled_once(created)


def test_a_purchase_needs_no_mouse(shop: Any, page: Page) -> None:
    created = shop.open_session()
    page.goto(created["payUrl"])
    # The first thing that the keyboard reaches is the button, and it can be seen
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Pay $275.50")
    expect(link).to_be_focused()
    assert link.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    assert link.evaluate("element => parseFloat(getComputedStyle(element).outlineWidth)") >= 2
    # What it means to pay late is read with the keyboard too
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What counts is when you submit the payment")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    # Stripe's page
    expect(page.get_by_label("Card number")).to_be_visible()
    page.get_by_label("Card number").focus()
    for text in ("4242424242424242", "1234", "123", "A. Winner"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.get_by_label("Name on card").press("Enter")
    # And the receipt
    expect(page.get_by_role("link", name="Download the PDF")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Download the PDF")).to_be_focused()
    receipt = download(page, lambda: page.keyboard.press("Enter"))
    assert receipt.body().startswith(b"%PDF-")


def test_a_purchase_needs_no_javascript(
    shop: Any, open_context: Callable[..., BrowserContext], type_card: Callable[[Page, str], None]
) -> None:
    created = shop.open_session()
    page = open_context(java_script_enabled=False).new_page()
    page.goto(created["payUrl"])
    expect(page.get_by_text("Pay before")).to_contain_text("UTC")
    expect(page.get_by_role("timer")).to_have_count(0)
    page.get_by_role("link", name="Pay $275.50").click()
    type_card(page, PAYS)

    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    shop.await_receipt(created)
    if page.get_by_role("link", name="Download the PDF").count() == 0:
        # The page was quicker than the webhook: it looks again by itself, which a reload has happen now.
        expect(page.locator("meta[http-equiv=refresh]")).to_have_attribute("content", "20")
        page.reload()
    expect(page.get_by_role("heading", name="Paid. Thank you!")).to_be_visible()
    expect(page.get_by_role("link", name="Download the PDF")).to_be_visible()
    expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)


def test_a_link_that_was_tampered_with_opens_nothing(shop: Any, context: BrowserContext) -> None:
    created = shop.open_session()
    page = context.new_page()

    answer = page.goto(created["payUrl"] + "x")

    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(page.get_by_text("Walnut side table")).to_have_count(0)


def test_the_browser_demo_buys_and_leaves_pictures_and_the_receipt(shop: Any, browser: Browser, tmp_path: Path) -> None:
    timeline, pictures = browser_demo.buy(browser, shop.stack, tmp_path)
    assert [picture.name for picture in pictures] == [
        "browser-1-pending.png",
        "browser-2-declined.png",
        "browser-3-paid.png",
    ]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert timeline.receipt is not None
    assert timeline.receipt.read_bytes().startswith(b"%PDF-")
    assert "Paid. Thank you!" in timeline.steps[-2][2]
