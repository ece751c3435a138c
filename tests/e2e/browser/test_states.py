"""Every state of the buyer's page: looked at by axe, on a phone and on a desktop, light and dark, in every language."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

DESKTOP = {"width": 1280, "height": 800}
#: WCAG 2.1 A and AA, and what axe holds to be good practice.
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], "resultTypes": ["violations"]}
_LANGUAGES = ("en", "de", "fr", "es", "ja", "ar")


def assert_accessible(page: Page) -> None:
    found = Axe().run(page, options=_RULES)
    assert found.violations_count == 0, found.generate_report()


def assert_nothing_is_cut_off(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_every_state_is_accessible_on_every_screen(
    stage: Any, page: Page, picture: Callable[[Page, str], None], state: str
) -> None:
    page.goto(stage.show(state))
    expect(page.locator("h1")).to_be_visible()
    assert_accessible(page)
    assert_nothing_is_cut_off(page)
    picture(page, f"pay-{state}")

    # Without motion: a colour half-way through its transition is neither what people see nor a picture of it.
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    assert_accessible(page)
    assert_nothing_is_cut_off(page)
    if state == "pending":
        picture(page, "pay-pending-desktop-dark")

    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    picture(page, f"pay-{state}-desktop")


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_language_fits_and_is_accessible(
    stage: Any, page: Page, picture: Callable[[Page, str], None], language: str
) -> None:
    page.goto(stage.show("failed-retry", locale=language))
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert_accessible(page)
    page.set_viewport_size({"width": 320, "height": 640})  # the narrowest that WCAG 1.4.10 asks for
    assert_nothing_is_cut_off(page)
    if language != "en":
        page.set_viewport_size({"width": 390, "height": 844})
        picture(page, f"pay-failed-{language}")


def test_right_to_left_the_page_is_mirrored_and_amounts_are_not(
    stage: Any, open_context: Callable[..., BrowserContext], open_page: Callable[[BrowserContext], Page]
) -> None:
    # Given: a session without a language, and a browser that asks for Arabic
    page = open_page(open_context(locale="ar"))
    page.goto(stage.show("pending", locale=None))
    # Then: the page runs from right to left, and begins there
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    heading = page.get_by_role("heading", name="ادفع ثمن المزاد الذي فزت به")
    expect(heading).to_be_visible()
    mark, card = page.locator(".mark").bounding_box(), page.locator(".card").bounding_box()
    assert mark is not None
    assert card is not None
    assert abs((mark["x"] + mark["width"]) - (card["x"] + card["width"])) < 1
    # And: the number is read as it is written
    assert "275.50" in page.locator(".amount").inner_text()
    assert page.get_by_role("timer").inner_text().count(":") == 2
    assert_accessible(page)


def test_an_expired_link_shows_nothing_of_the_purchase(
    stage: Any, context: BrowserContext, picture: Callable[[Page, str], None]
) -> None:
    page = context.new_page()
    answer = page.goto(stage.show("paid", ended=True))
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(page.get_by_text("Walnut side table")).to_have_count(0)
    expect(page.get_by_role("link")).to_have_count(0)
    assert_accessible(page)
    picture(page, "pay-link-over")


def test_the_page_is_light_and_asks_nobody_else(stage: Any, shop: Any, page: Page) -> None:
    loaded: list[tuple[str, int]] = []

    def note(response: Any) -> None:
        if "/events" not in response.url:  # the stream has no end
            sizes = response.request.sizes()
            loaded.append((response.url, sizes["responseBodySize"] + sizes["responseHeadersSize"]))

    page.on("requestfinished", lambda request: note(request.response()))
    page.goto(stage.show("paid"))
    page.wait_for_load_state("networkidle")
    assert len(loaded) >= 3  # the page, its style and its script
    assert all(url.startswith(shop.stack.front_url) for url, _ in loaded)
    assert sum(size for _, size in loaded) < 50_000
    # And: the policy lets nothing else in, nor any script that somebody writes into the page
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_who_dislikes_motion_sees_none(stage: Any, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(stage.show("pending"))
    assert page.locator("#pay").evaluate("each => getComputedStyle(each).transitionDuration") == "0s"
    assert page.evaluate("document.getAnimations().length") == 0
