"""The buyer's page: which words and links each state gets, and that nothing in a snapshot can become markup."""

from decimal import Decimal
from typing import Any

import pytest

from paywindow.front import rendering
from paywindow.settings import Settings

SETTINGS = Settings(payment_status_poll_seconds=7, payment_timer_skew_threshold_ms=900)
HOUR_MS = 3_600_000
ID = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f01"
URL = "https://checkout.stripe.com/c/pay/cs_test_1"
RECEIPT = {"id": "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09", "number": "R-2026-000001", "ready": True, "downloadUrl": "x"}


def snapshot(receipt: Any = None, retry: Any = None, **changes: Any) -> dict[str, Any]:
    session = {
        "id": ID,
        "status": "pending",
        "amount": Decimal("1275.50"),
        "currency": "USD",
        "description": "Walnut side table",
        "locale": None,
        "expiresAt": "2026-11-24T10:30:00Z",
        "stripeCheckoutUrl": URL,
        "closing": False,
        "failure": None,
        "hold": None,
        **changes,
    }
    return {"paymentSession": session, "retry": retry, "transaction": None, "receipt": receipt}


def html(receipt: Any = None, *, root: str = "", remaining_ms: int = HOUR_MS, **changes: Any) -> str:
    found = snapshot(receipt, **changes)
    return rendering.payment_page(found, etag="7-buyer", root=root, remaining_ms=remaining_ms, settings=SETTINGS)


TRIES = {"count": 1, "left": 2, "canRetry": True, "retryAt": "2026-11-23T10:35:00Z"}
NO_TRIES = {"count": 3, "left": 0, "canRetry": False, "retryAt": None}
DEAD_PAGE = {"status": "failed", "stripeCheckoutUrl": None}
PRESS = f'<form id="way-to-pay" method="post" action="/pay/{ID}/retry" data-retry="/payments/retry/{ID}">'


def test_an_open_page_shows_item_amount_deadline_and_the_way_to_pay() -> None:
    text = html()
    assert "Walnut side table" in text
    assert "$1,275.50" in text
    assert '<time datetime="2026-11-24T10:30:00Z">November 24, 2026, 10:30 AM UTC</time>' in text
    assert f'href="{URL}"' in text


def test_the_amount_is_written_as_the_buyers_locale_does() -> None:
    assert "1.275,50\xa0$" in html(locale="de-DE")
    assert "¥1,275" in html(currency="JPY", amount=1275)
    assert "$1,275.50" in html(locale="auto")
    assert "$1,275.50" in html(locale="xx-YY")


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "Pay for your auction win"),
        ({"stripeCheckoutUrl": None}, "Your payment page is being prepared"),
        ({"status": "failed"}, "The payment did not go through"),
        ({"status": "processing", "stripeCheckoutUrl": None}, "Your payment is being processed"),
        ({"status": "completed", "stripeCheckoutUrl": None}, "Paid. Thank you!"),
        ({"status": "expired", "stripeCheckoutUrl": None}, "The time to pay is over"),
        ({"status": "canceled", "stripeCheckoutUrl": None}, "This sale was called off"),
        ({"hold": {"reason": "late", "since": "2026-11-24T10:30:00Z"}}, "Your payment is being checked"),
        ({"closing": True}, "The time to pay is over"),
    ],
)
def test_each_state_has_its_words(changes: dict[str, Any], headline: str) -> None:
    assert f'<h1 id="headline" tabindex="-1">{headline}</h1>' in html(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "processing"},
        {"status": "completed"},
        {"status": "expired"},
        {"status": "canceled"},
        {"hold": {"reason": "late", "since": "2026-11-24T10:30:00Z"}},
        {"closing": True},
    ],
)
def test_who_must_not_pay_gets_no_button_even_if_there_is_a_page(changes: dict[str, Any]) -> None:
    text = html(retry=TRIES, **changes)
    assert URL not in text
    assert "<button" not in text
    assert 'id="countdown"' not in text


def test_a_declined_buyer_learns_why_and_can_try_again() -> None:
    text = html(status="failed", failure={"code": "card_declined", "message": "The card was declined."})
    assert "The card was declined." in text
    assert URL in text


def test_a_failed_payment_whose_page_is_dead_can_be_tried_again() -> None:
    text = html(retry=TRIES, **DEAD_PAGE)
    assert PRESS in text
    assert "Tries left: 2." in text
    assert "Pay before" in text
    assert 'id="countdown"' in text


def test_while_its_page_lives_a_failed_payment_is_paid_there_and_costs_no_try() -> None:
    text = html(status="failed", retry=TRIES)
    assert URL in text
    assert "/retry" not in text
    assert "Tries left" not in text


def test_without_tries_there_is_no_button_and_no_time_to_watch() -> None:
    text = html(retry=NO_TRIES, **DEAD_PAGE)
    assert "There are no tries left" in text
    assert 'class="button"' not in text
    assert 'id="countdown"' not in text
    assert "Pay before" not in text


def test_only_a_failed_payment_can_be_tried_again_whatever_the_snapshot_says() -> None:
    assert "/retry" not in html(stripeCheckoutUrl=None, retry=TRIES)


def test_the_countdown_starts_with_what_the_server_says_and_knows_how_often_to_ask() -> None:
    text = html(remaining_ms=61_500)
    assert 'data-remaining-ms="61500"' in text
    assert 'data-skew-ms="900"' in text
    assert 'data-poll-seconds="7"' in text
    assert f'data-window="/payments/checkout/{ID}/window"' in text


def test_the_countdown_is_a_timer_that_screen_readers_do_not_repeat_every_second() -> None:
    text = html()
    timer = text[text.index('<span id="countdown"') :].partition(">")[0]
    assert 'role="timer"' in timer  # silent by its role (WAI-ARIA 1.2: its aria-live is off)
    assert "aria-live" not in timer
    assert '<p id="countdown-news" class="unseen" role="status"></p>' in text


def test_without_javascript_there_is_no_empty_countdown_but_the_deadline() -> None:
    text = html()
    assert '<p class="countdown" hidden>' in text
    assert "November 24, 2026, 10:30 AM UTC" in text


@pytest.mark.parametrize("changes", [{"status": "expired", "stripeCheckoutUrl": None}, {"closing": True}])
def test_a_closed_window_says_when_it_closed(changes: dict[str, Any]) -> None:
    text = html(remaining_ms=0, **changes)
    assert "Was to be paid before" in text
    assert "November 24, 2026, 10:30 AM UTC" in text


def test_a_paid_page_links_the_receipt_once_it_is_stored() -> None:
    paid = {"status": "completed", "stripeCheckoutUrl": None}
    download = f"/payments/receipts/{RECEIPT['id']}/download"
    assert download in html(RECEIPT, **paid)
    assert "on its way" in html({**RECEIPT, "ready": False}, **paid)
    assert download not in html({**RECEIPT, "ready": False}, **paid)
    assert "on its way" in html(None, **paid)


def test_what_was_given_back_is_named_with_its_credit_note() -> None:
    paid = {"status": "completed", "stripeCheckoutUrl": None}
    document = snapshot(RECEIPT, **paid) | {
        "transaction": {"status": "partially_refunded", "card": {"brand": "amex", "last4": "0005"}},
        "refunds": [{"amount": Decimal("50.25"), "status": "succeeded"}, {"amount": Decimal("9"), "status": "failed"}],
        "creditNotes": [{**RECEIPT, "id": ID, "number": "C-2026-000001"}],
    }
    text = rendering.payment_page(document, etag="7-buyer", root="", remaining_ms=0, settings=SETTINGS)
    assert "Part of your payment was refunded" in text
    assert "Refunded: $50.25" in text
    assert "Paid with American Express, ending in 0005" in text
    assert "Credit note C-2026-000001" in text
    assert f"/payments/receipts/{ID}/download" in text


@pytest.mark.parametrize("status", ["expired", "canceled"])
def test_a_payment_that_did_not_count_is_said_to_go_back(status: str) -> None:
    closed = snapshot(status=status, stripeCheckoutUrl=None)
    for refunds, told in (([], False), ([{"amount": Decimal("1275.50"), "status": "pending"}], True)):
        document = closed | {"refunds": refunds}
        text = rendering.payment_page(document, etag="7-buyer", root="", remaining_ms=0, settings=SETTINGS)
        assert ("did not count and is refunded" in text) is told


def test_an_arabic_amount_keeps_its_symbol_in_one_piece() -> None:
    assert "\u200eUS$\u200e" in html(locale="ar")


@pytest.mark.parametrize(
    ("changes", "receipt", "moving"),
    [
        ({}, None, True),
        ({"status": "completed"}, None, True),
        ({"status": "completed"}, RECEIPT, False),
        ({"status": "expired"}, None, True),
        ({"status": "canceled"}, None, False),
    ],
)
def test_only_a_page_that_may_change_looks_again(changes: dict[str, Any], receipt: Any, moving: bool) -> None:
    text = html(receipt, **changes)
    assert ('"7-buyer" data-moving' in text) is moving
    assert ('http-equiv="refresh"' in text) is moving


def test_text_from_outside_never_becomes_markup() -> None:
    text = html(status="failed", description="<script>x</script>", failure={"code": "c", "message": '"><img src=x>'})
    assert "<script>x" not in text
    assert "<img" not in text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", ""])
def test_only_a_web_address_becomes_a_link(url: str) -> None:
    text = html(stripeCheckoutUrl=url)
    assert 'class="button"' not in text


def test_links_carry_the_path_under_which_the_front_end_is_public() -> None:
    text = html(root="/wins", retry=TRIES, **DEAD_PAGE)
    assert 'href="/wins/static/pay.css"' in text
    assert f'action="/wins/pay/{ID}/retry"' in text
    assert f'data-window="/wins/payments/checkout/{ID}/window"' in text
    assert f'data-status="/wins/payments/checkout/{ID}/status"' in text
