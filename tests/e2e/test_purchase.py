"""A winner pays over HTTP, from the marketplace's request to the receipt, through real processes."""

import uuid
from typing import Any

import pytest
import requests

from paywindow.hosted_page import DECLINES, PAYS, submit_card


def _open_as_buyer(pay_url: str) -> tuple[requests.Session, requests.Response]:
    """Open the buyer's link as a browser would: with cookies, following redirects."""
    browser = requests.Session()
    return browser, browser.get(pay_url, headers={"Accept": "text/html"}, timeout=30)


def test_a_winner_pays_on_the_hosted_page_and_gets_a_receipt(shop: Any) -> None:
    created = shop.open_session(amount=275.5)
    session = created["paymentSession"]
    assert session["status"] == "pending"
    assert session["amount"] == 275.5
    assert created["paymentWindow"]["duration"] == "24:00:00"

    assert submit_card(session["stripeCheckoutUrl"], PAYS)

    done = shop.await_receipt(created)
    assert done["transaction"]["amount"] == 275.5
    assert done["transaction"]["card"] == {"brand": "visa", "last4": "4242"}
    assert done["paymentSession"]["stripeCheckoutUrl"] is None
    receipt = shop.call("GET", f"/payments/receipts/{done['receipt']['id']}/download")
    assert receipt.headers["Content-Type"] == "application/pdf"
    assert receipt.content.startswith(b"%PDF-")
    shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_a_declined_card_leaves_the_page_payable_with_another(shop: Any) -> None:
    created = shop.open_session()
    page = created["paymentSession"]["stripeCheckoutUrl"]

    assert not submit_card(page, DECLINES)

    failed = shop.await_status(created, "failed")
    assert failed["paymentSession"]["failure"]["message"]
    assert failed["paymentSession"]["stripeCheckoutUrl"] == page
    assert failed["receipt"] is None

    assert submit_card(page, PAYS)

    done = shop.await_receipt(created)
    assert done["paymentSession"]["failure"] is None
    assert [charge["paid"] for charge in shop.charges(created)] == [False, True]
    shop.assert_settled_once(created)


def test_the_status_has_an_etag_that_changes_with_the_payment(shop: Any) -> None:
    created = shop.open_session()
    path = f"/payments/checkout/{created['paymentSession']['id']}/status"

    first = shop.call("GET", path)
    again = shop.call("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")

    shop.pay(created)
    shop.await_receipt(created)

    later = shop.call("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert later.status_code == 200
    assert later.headers["ETag"] != first.headers["ETag"]


def test_the_buyers_link_swaps_its_token_for_a_cookie(shop: Any) -> None:
    created = shop.open_session()
    browser, page = _open_as_buyer(created["payUrl"])

    (redirect,) = page.history
    assert redirect.status_code == 303
    cookie = redirect.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert page.url == f"{shop.stack.front_url}/pay/{created['paymentSession']['id']}"
    assert page.status_code == 200
    token = created["payUrl"].partition("token=")[2]
    assert token
    assert token not in page.text

    # The clean address works with the cookie, and for nobody else.
    assert browser.get(page.url, timeout=30).status_code == 200
    assert requests.get(page.url, timeout=30).status_code == 401


def test_the_buyers_page_shows_what_is_to_be_paid_and_then_the_receipt(shop: Any) -> None:
    created = shop.open_session(description="Clock <with> brass & glass", amount=1240)
    browser, page = _open_as_buyer(created["payUrl"])
    assert "Clock &lt;with&gt; brass &amp; glass" in page.text
    assert "$1,240.00" in page.text
    assert f'<time datetime="{created["paymentSession"]["expiresAt"]}">' in page.text
    assert f'href="{created["paymentSession"]["stripeCheckoutUrl"]}"' in page.text

    shop.pay(created)
    done = shop.await_receipt(created)

    page = browser.get(page.url, timeout=30)
    assert "Paid. Thank you!" in page.text
    assert done["receipt"]["number"] in page.text
    assert created["paymentSession"]["stripeCheckoutUrl"] not in page.text
    receipt = browser.get(done["receipt"]["downloadUrl"], timeout=30)
    assert receipt.content.startswith(b"%PDF-")


def test_a_buyer_sees_neither_another_session_nor_its_receipt(shop: Any) -> None:
    mine, theirs = shop.open_session(), shop.open_session()
    shop.pay(theirs)
    receipt = shop.await_receipt(theirs)["receipt"]
    browser, _ = _open_as_buyer(mine["payUrl"])

    for path in (
        f"/pay/{theirs['paymentSession']['id']}",
        f"/payments/checkout/{theirs['paymentSession']['id']}/status",
        f"/payments/receipts/{receipt['id']}",
        f"/payments/receipts/{receipt['id']}/download",
    ):
        assert browser.get(shop.stack.front_url + path, timeout=30).status_code in (401, 404)


def test_an_unknown_session_is_not_found(shop: Any) -> None:
    answer = shop.call("GET", f"/payments/checkout/{uuid.uuid4()}/status")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_a_canceled_sale_cannot_be_paid(shop: Any) -> None:
    created = shop.open_session()
    canceled = shop.call("POST", f"/payments/checkout/{created['paymentSession']['id']}/cancel", json={})
    assert canceled.status_code == 200
    assert shop.await_status(created, "canceled")["paymentSession"]["stripeCheckoutUrl"] is None
    assert [page["status"] for page in shop.pages_of_auction(created["paymentSession"]["auctionId"])] == ["expired"]
    with pytest.raises(Exception, match="no form to pay with"):
        submit_card(created["paymentSession"]["stripeCheckoutUrl"], PAYS)


def test_no_log_holds_a_secret(shop: Any) -> None:
    created = shop.open_session()
    _open_as_buyer(created["payUrl"])
    submit_card(created["paymentSession"]["stripeCheckoutUrl"], DECLINES)
    submit_card(created["paymentSession"]["stripeCheckoutUrl"], PAYS)
    shop.await_receipt(created)
    wrong_key = "pwk_" + "wrong" * 8
    shop.call("GET", "/payments/receipts/x", headers={"Authorization": f"Bearer {wrong_key}"})
    shop.call("GET", f"/pay/{created['paymentSession']['id']}?token=forged-token", headers={"Accept": "text/html"})
    shop.call("POST", "/payments/webhooks/stripe", data=b"{", headers={"Stripe-Signature": "t=1,v1=forged-signature"})

    environment = shop.stack.environment
    secrets = {
        "the service key": shop.stack.service_key,
        "a wrong service key": wrong_key,
        "the buyer's token": created["payUrl"].partition("token=")[2],
        "a forged token": "forged-token",
        "a forged signature": "forged-signature",
        "the tokens' secret": environment["BUYER_TOKEN_SECRETS"],
        "the links' secret": environment["RECEIPT_URL_SECRET"],
        "the webhooks' secret": environment["STRIPE_WEBHOOK_SECRET"],
        "Stripe's key": environment["STRIPE_SECRET_KEY"],
        "a card number": PAYS,
        "a declined card number": DECLINES,
        "the buyer's address": "winner@example.com",
    }
    logs = sorted(shop.stack.folder.rglob("*.log"))
    assert {"front", "sandbox", "scheduler", "worker-interactive", "worker-receipts", "worker-sweeps"} <= {
        log.stem for log in logs
    }
    found = [(what, log.name) for log in logs for what, secret in secrets.items() if secret in log.read_text()]
    assert found == []
