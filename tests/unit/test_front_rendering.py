"""The buyer's page: which words and links each state gets, and that nothing in a snapshot can become markup."""

from decimal import Decimal
from typing import Any

import pytest

from paywindow.front import rendering

ID = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f01"
URL = "https://checkout.stripe.com/c/pay/cs_test_1"
RECEIPT = {"id": "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09", "number": "R-2026-000001", "ready": True, "downloadUrl": "x"}


def snapshot(receipt: Any = None, **changes: Any) -> dict[str, Any]:
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
    return {"paymentSession": session, "transaction": None, "receipt": receipt}


def html(receipt: Any = None, **changes: Any) -> str:
    return rendering.payment_page(snapshot(receipt, **changes), etag="7-buyer", root="")


def test_an_open_page_shows_item_amount_deadline_and_the_way_to_pay() -> None:
    text = html()
    assert "Walnut side table" in text
    assert "$1,275.50" in text
    assert '<time datetime="2026-11-24T10:30:00Z">24 November 2026, 10:30 UTC</time>' in text
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
    assert f"<h1>{headline}</h1>" in html(**changes)


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
    assert URL not in html(**changes)


def test_a_declined_buyer_learns_why_and_can_try_again() -> None:
    text = html(status="failed", failure={"code": "card_declined", "message": "The card was declined."})
    assert "The card was declined." in text
    assert URL in text


def test_a_paid_page_links_the_receipt_once_it_is_stored() -> None:
    paid = {"status": "completed", "stripeCheckoutUrl": None}
    download = f"/payments/receipts/{RECEIPT['id']}/download"
    assert download in html(RECEIPT, **paid)
    assert "on its way" in html({**RECEIPT, "ready": False}, **paid)
    assert download not in html({**RECEIPT, "ready": False}, **paid)
    assert "on its way" in html(None, **paid)


@pytest.mark.parametrize(
    ("changes", "receipt", "moving"),
    [
        ({}, None, True),
        ({"status": "completed"}, None, True),
        ({"status": "completed"}, RECEIPT, False),
        ({"status": "expired"}, None, False),
        ({"status": "canceled"}, None, False),
    ],
)
def test_only_a_page_that_may_change_looks_again(changes: dict[str, Any], receipt: Any, moving: bool) -> None:
    text = html(receipt, **changes)
    assert ("/static/pay.js" in text) is moving
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
    text = rendering.payment_page(snapshot(), etag="1-buyer", root="/wins")
    assert 'href="/wins/static/pay.css"' in text
    assert f'data-status="/wins/payments/checkout/{ID}/status"' in text
