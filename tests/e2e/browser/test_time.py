"""The buyer's page in a real browser while its time runs: the countdown, the deadline, and trying again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

_DECLINES = "4000000000000002"
_WAY_TO_PAY = "#way-to-pay"

# A clock that is a day behind, in everything that a page can ask for the date.
_WRONG_CLOCK = """
const Real = Date, behind = 24 * 3600 * 1000;
globalThis.Date = class extends Real {
  constructor(...given) { given.length ? super(...given) : super(Real.now() - behind); }
  static now() { return Real.now() - behind; }
};
"""
# A page whose clock stood still for a while, as when the machine slept: `nap(ms)` from outside.
_CLOCK_THAT_NAPS = """
const now = performance.now.bind(performance);
let slept = 0;
performance.now = () => now() - slept;
globalThis.nap = (ms) => { slept += ms; };
"""
# Every text that the countdown shows, and everything that is said to a screen reader, once the page is there.
_LISTEN = """
globalThis.shown = []; globalThis.said = [];
addEventListener("DOMContentLoaded", () => {
  const watch = (id, list) => {
    const found = document.getElementById(id);
    if (found) new MutationObserver(() => list.push(found.textContent)).observe(found, { childList: true });
  };
  watch("countdown", globalThis.shown);
  watch("countdown-news", globalThis.said);
});
"""


def left_on(page: Page) -> timedelta:
    """What the countdown shows."""
    timer = page.get_by_role("timer")
    expect(timer).to_be_visible()
    hours, minutes, seconds = map(int, timer.inner_text().split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def left_at(shop: Any, created: dict[str, Any]) -> timedelta:
    """What the server says is left."""
    answer = shop.call("GET", f"/payments/checkout/{created['paymentSession']['id']}/window")
    assert answer.status_code == 200, answer.text
    return timedelta(milliseconds=answer.json()["remainingMs"])


def assert_counts_rightly(shop: Any, created: dict[str, Any], page: Page) -> None:
    """The page shows what the server says, to the second in which both were asked."""
    before = left_at(shop, created)
    shown = left_on(page)
    after = left_at(shop, created)
    tolerance = timedelta(seconds=1.5)
    assert after - tolerance <= shown <= before + tolerance


def shows_again(page: Page, before: timedelta) -> None:
    """Wait until the countdown has moved on from what it showed."""
    expect(page.get_by_role("timer")).not_to_have_text(str(before).zfill(8))


def override(shop: Any, created: dict[str, Any], name: str, **body: Any) -> None:
    identifier = created["paymentSession"]["id"]
    answer = shop.call("POST", f"/payments/checkout/{identifier}/{name}", json={"reason": "rehearsal", **body})
    assert answer.status_code == 200, answer.text


def fail_with_a_dead_page(shop: Any, until: Any) -> dict[str, Any]:
    """A session whose card was declined and whose page then died at Stripe. The timer's own retry is kept away."""
    shop.freeze("scheduler")
    created: dict[str, Any] = shop.open_session()
    checkout = shop.checkout_id(created)
    shop.pay(created, card=_DECLINES)
    shop.await_status(created, "failed")
    closed = requests.post(
        f"{shop.stack.sandbox_url}/v1/checkout/sessions/{checkout}/expire",
        headers={"Authorization": "Bearer sk_test_sandbox"},
        timeout=60,
    )
    closed.raise_for_status()
    session_id = created["paymentSession"]["id"]
    until(
        lambda: shop.rows("SELECT 1 FROM checkout_attempts WHERE session_id = %s AND status = 'closed'", session_id),
        "the page's end to be recorded",
    )
    override(shop, created, "extend", minutes=30)  # whatever is published after it knows that the page is dead
    return created


def test_the_countdown_is_right_though_the_buyers_clock_is_a_day_behind(
    shop: Any, context: BrowserContext, page: Page
) -> None:
    created = shop.open_session(windowMinutes=90)
    page.add_init_script(_WRONG_CLOCK)

    page.goto(created["payUrl"])

    lag = datetime.now(UTC).timestamp() - page.evaluate("Date.now()") / 1000
    assert lag > 23 * 3600
    assert_counts_rightly(shop, created, page)
    shows_again(page, left_on(page))
    assert_counts_rightly(shop, created, page)


def test_a_countdown_that_stood_still_is_put_right_when_the_buyer_comes_back(shop: Any, page: Page) -> None:
    created = shop.open_session(windowMinutes=90)
    page.add_init_script(_CLOCK_THAT_NAPS)
    page.goto(created["payUrl"])
    assert_counts_rightly(shop, created, page)

    # Asleep for ten minutes: the page believes that no time has passed, so it shows ten too many.
    page.evaluate("nap(600000)")
    page.evaluate("tick()")
    assert left_on(page) > left_at(shop, created) + timedelta(minutes=9)
    with page.expect_response("**/window"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    page.wait_for_function(
        "ms => endsAt - performance.now() < ms", arg=left_at(shop, created) / timedelta(milliseconds=1) + 1000
    )
    assert_counts_rightly(shop, created, page)


def test_offline_the_countdown_pauses_and_back_it_is_right_again(
    shop: Any, context: BrowserContext, page: Page
) -> None:
    created = shop.open_session(windowMinutes=90)
    page.goto(created["payUrl"])
    assert_counts_rightly(shop, created, page)

    context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    paused = left_on(page)
    # Two more seconds pass, and the page does not show them.
    page.wait_for_function("deadline => endsAt - performance.now() < deadline", arg=(paused.total_seconds() - 2) * 1000)
    assert left_on(page) == paused

    with page.expect_response("**/window"):
        context.set_offline(False)
    expect(page.get_by_text("You are offline.")).to_have_count(0)
    shows_again(page, paused)
    assert_counts_rightly(shop, created, page)


def test_a_screen_reader_hears_of_the_time_rarely(shop: Any, page: Page) -> None:
    created = shop.open_session(windowMinutes=10)
    page.add_init_script(_LISTEN)
    page.goto(created["payUrl"])

    page.wait_for_function("() => shown.length >= 4")

    news = page.locator("#countdown-news")
    expect(news).to_have_attribute("role", "status")
    expect(news).to_have_text("Less than 15 minutes left to pay")
    assert page.evaluate("said") == []  # told once, when the page opened, and not with every second since
    assert page.get_by_role("timer").get_attribute("aria-label") == "Time left to pay"


def test_an_extended_window_is_shown_by_itself(shop: Any, page: Page) -> None:
    created = shop.open_session(windowMinutes=30)
    page.goto(created["payUrl"])
    assert left_on(page) <= timedelta(minutes=30)

    override(shop, created, "extend", minutes=60)

    page.wait_for_function("() => document.getElementById('countdown')?.textContent.startsWith('01:')")
    assert_counts_rightly(shop, created, page)


def test_when_the_deadline_comes_the_page_turns_by_itself_and_nobody_can_pay(shop: Any, page: Page) -> None:
    # Given: a window that ends while the buyer looks at it, and nobody who closes it
    shop.freeze("worker-sweeps")
    created = shop.open_session(windowMinutes=5)
    page.goto(created["payUrl"])
    expect(page.get_by_role("timer")).to_be_visible()
    expect(page.locator(_WAY_TO_PAY)).to_be_visible()
    # When: all but its last seconds have passed while the tab was away, and then those do
    shop.let_pass(left_at(shop, created) - timedelta(seconds=4))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("We are asking Stripe whether your payment arrived in time.")).to_be_visible()
    # Then: the page shows that it is closing, without a way to pay
    assert left_at(shop, created) == timedelta()
    expect(page.get_by_role("heading", name="The time to pay is over")).to_be_visible()
    expect(page.locator(_WAY_TO_PAY)).to_have_count(0)
    expect(page.get_by_role("timer")).to_have_count(0)
    expect(page.locator("#news")).to_have_text("The time to pay is over")
    # And: once the window is closed, that it is
    shop.thaw("worker-sweeps")
    expect(page.get_by_text("The payment was not made in time")).to_be_visible()
    assert shop.status(created)["paymentSession"]["status"] == "expired"


def test_a_window_that_is_opened_again_brings_the_button_back(shop: Any, page: Page) -> None:
    created = shop.open_session()
    page.goto(created["payUrl"])
    override(shop, created, "expire")
    expect(page.get_by_role("heading", name="The time to pay is over")).to_be_visible()
    expect(page.locator(_WAY_TO_PAY)).to_have_count(0)

    override(shop, created, "reopen", minutes=45)

    expect(page.get_by_role("link", name="Pay $275.50")).to_be_visible()
    assert left_on(page) <= timedelta(minutes=45)


def test_two_tabs_that_try_again_at_once_open_one_page(
    shop: Any, until: Any, context: BrowserContext, open_page: Callable[[BrowserContext], Page]
) -> None:
    # Given: a failed payment with a dead page, in two tabs that show the same
    created = fail_with_a_dead_page(shop, until)
    tabs = [open_page(context), open_page(context)]
    for tab in tabs:
        tab.goto(created["payUrl"])
        expect(tab.get_by_role("button", name="Try again")).to_be_visible()
    # When: both are pressed before either is answered, or even asked: the first's news would take the second's button away
    pressed: list[Route] = []

    def wait_for_each_other(route: Route) -> None:
        pressed.append(route)
        if len(pressed) == len(tabs):
            for each in pressed:
                each.continue_()

    for tab in tabs:
        tab.route("**/payments/retry/*", wait_for_each_other)
        tab.get_by_role("button", name="Try again").click(no_wait_after=True)
    # Then: there is one new try, and both tabs lead to its page
    for tab in tabs:
        expect(tab.get_by_role("link", name="Pay $275.50")).to_be_visible()
    assert len(pressed) == len(tabs)
    state = shop.status(created)
    assert [each["kind"] for each in state["attempts"]] == ["first", "retry"]
    for tab in tabs:
        link = tab.get_by_role("link", name="Pay $275.50")
        assert link.get_attribute("href") == state["paymentSession"]["stripeCheckoutUrl"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_failed_payment_with_a_dead_page_is_tried_again_with_one_press(
    shop: Any, until: Any, open_context: Callable[..., BrowserContext], scripts: bool
) -> None:
    created = fail_with_a_dead_page(shop, until)
    page = open_context(java_script_enabled=scripts).new_page()
    page.goto(created["payUrl"])
    expect(page.get_by_role("heading", name="The payment did not go through")).to_be_visible()
    expect(page.get_by_text("Tries left: 3.")).to_be_visible()
    button = page.get_by_role("button", name="Try again")
    button.focus()

    button.press("Enter")

    expect(page.get_by_role("link", name="Pay $275.50")).to_be_visible()
    expect(page).to_have_url(f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}")
    state = shop.status(created)
    assert (state["paymentSession"]["status"], state["retry"]["count"]) == ("pending", 1)
    assert [each["kind"] for each in state["attempts"]] == ["first", "retry"]
    assert (
        page.get_by_role("link", name="Pay $275.50").get_attribute("href")
        == state["paymentSession"]["stripeCheckoutUrl"]
    )
    (transition,) = shop.rows(
        "SELECT who FROM transitions WHERE session_id = %s AND from_status = 'failed' AND to_status = 'pending'",
        created["paymentSession"]["id"],
    )
    assert transition["who"] == f"buyer:{created['paymentSession']['id']}"
    shop.pay(created)
    shop.await_receipt(created)
    shop.assert_settled_once(created)
