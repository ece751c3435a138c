"""The hosted page as a browser without JavaScript meets it."""

import re
import threading
import urllib.parse
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe
from stripe.checkout import Session

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

CARD = {
    "card_number": "4242 4242 4242 4242",
    "expiry": "12 / 40",
    "cvc": "123",
    "name": "Ada",
    "email": "ada@example.com",
}


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    return tmp_path / "clock"


@pytest.fixture
def sandbox(clock_file: Path) -> Iterator[SandboxServer]:
    # Nobody listens on the webhook address, so that waiting for the acknowledgement runs into its limit.
    config = SandboxConfig(webhook_url="http://127.0.0.1:9/", success_wait=0.05, clock_file=clock_file)
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_page", base_addresses={"api": sandbox.url})


def open_session(client: stripe.StripeClient, **changes: Any) -> Session:
    price: Any = {"currency": "usd", "unit_amount": 27_550, "product_data": {"name": "Lot <7>"}}
    params: Any = {
        "mode": "payment",
        "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/cancelled",
        "line_items": [{"quantity": 1, "price_data": price}],
        "allowed_payment_method_types": ["card"],
        **changes,
    }
    return client.v1.checkout.sessions.create(params)


@pytest.fixture
def session(client: stripe.StripeClient) -> Session:
    return open_session(client)


def fetch(url: str | None, path: str = "", **fields: str) -> tuple[HTTPResponse, str]:
    """GET, or POST when there are fields; redirects are not followed."""
    assert url is not None
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc)
    body = urllib.parse.urlencode(fields) if fields else None
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
    connection.request("POST" if fields else "GET", path or parts.path, body, headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def test_the_page_shows_item_amount_cards_and_the_way_back(session: Session) -> None:
    response, text = fetch(session.url)
    assert response.status == 200
    for expected in (
        "275.50 USD",
        "Lot &lt;7&gt;",
        "This is a test page",
        "4000000000000002",
        "shop.example/cancelled",
    ):
        assert expected in text
    assert "<script" not in text
    labelled = set(re.findall(r'<label for="(\w+)"', text))
    assert labelled == {"email", "card_number", "expiry", "cvc", "name"}


def test_paying_redirects_to_the_success_url_with_the_id_filled_in(
    client: stripe.StripeClient, session: Session
) -> None:
    response, _ = fetch(session.url, **CARD)
    assert response.status == 303
    assert response.headers["Location"] == f"https://shop.example/done?session={session.id}"
    paid = client.v1.checkout.sessions.retrieve(session.id).to_dict()
    assert paid["payment_status"] == "paid"
    assert (paid["customer_details"]["email"], paid["customer_details"]["name"]) == ("ada@example.com", "Ada")
    assert "already paid" in fetch(session.url)[1]


def test_a_decline_is_told_and_another_card_pays(client: stripe.StripeClient, session: Session) -> None:
    response, text = fetch(session.url, **{**CARD, "card_number": "4000000000000002"})
    assert response.status == 402
    assert "Your card was declined." in text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert fetch(session.url, **CARD)[0].status == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card_number", "4111111111111111"),
        ("expiry", "13 / 40"),
        ("expiry", "01 / 20"),
        ("cvc", "12"),
        ("email", "nobody"),
    ],
)
def test_wrong_fields_are_explained_and_charge_nothing(
    client: stripe.StripeClient, session: Session, field: str, value: str
) -> None:
    response, text = fetch(session.url, **{**CARD, field: value})
    assert response.status == 422
    assert f'id="{field}-wrong"' in text
    assert client.v1.charges.list().data == []


@pytest.mark.parametrize(("outcome", "status"), [("complete", 303), ("fail", 402)])
def test_3d_secure_is_a_step_of_its_own(session: Session, outcome: str, status: int) -> None:
    response, _ = fetch(session.url, **{**CARD, "card_number": "4000000000003220"})
    assert response.status == 303
    step = response.headers["Location"]
    assert "Complete authentication" in fetch(session.url, step)[1]
    assert fetch(session.url, step, outcome=outcome)[0].status == status


def test_a_delayed_method_is_offered_when_the_session_allows_it(client: stripe.StripeClient) -> None:
    session = open_session(client, allowed_payment_method_types=["card", "us_bank_account"])
    assert "Bank debit (delayed)" in fetch(session.url)[1]
    response, _ = fetch(session.url, method="us_bank_account", email="ada@example.com")
    assert response.status == 303
    assert "on its way" in fetch(session.url)[1]


def test_an_expired_page_says_so_and_takes_no_money(
    client: stripe.StripeClient, session: Session, clock_file: Path
) -> None:
    clock_file.write_text("90000")
    response, text = fetch(session.url, **CARD)
    assert (response.status, "has expired" in text) == (200, True)
    assert client.v1.charges.list().data == []


def test_an_unknown_page_is_404(sandbox: SandboxServer) -> None:
    assert fetch(sandbox.url, "/c/pay/cs_test_none")[0].status == 404


def test_many_submits_of_one_page_charge_once(client: stripe.StripeClient, session: Session) -> None:
    threads = [threading.Thread(target=fetch, args=(session.url,), kwargs=CARD) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(client.v1.charges.list().data) == 1


def test_the_buyer_waits_for_the_acknowledgement(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    control = ControlClient(sandbox.url)
    result = control.pay(open_session(client).id, wait=True)
    assert result["redirect"].startswith("https://shop.example/done?session=cs_test_")
