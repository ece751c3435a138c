"""Customers and saved payment methods in the sandbox, through the real SDK and on the hosted page."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe
from stripe.checkout import Session

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

CARD = {"card_number": "4242 4242 4242 4242", "expiry": "12 / 40", "cvc": "123", "email": "ada@example.com"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(success_wait=0.05)) as server:
        yield server


@pytest.fixture(scope="module")
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_methods", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    found = ControlClient(sandbox.url)
    found.call("POST", "/reset")
    return found


@pytest.fixture
def customer(client: stripe.StripeClient, control: ControlClient) -> str:
    return client.v1.customers.create({"email": "ada@example.com", "metadata": {"buyer": "7"}}).id


def open_session(client: stripe.StripeClient, **changes: Any) -> Session:
    price: Any = {"currency": "usd", "unit_amount": 27_550, "product_data": {"name": "Lot 7"}}
    params: Any = {
        "mode": "payment",
        "success_url": "https://shop.example/done",
        "line_items": [{"quantity": 1, "price_data": price}],
        **changes,
    }
    return client.v1.checkout.sessions.create(params)


def saving(client: stripe.StripeClient, customer: str) -> Session:
    return open_session(client, customer=customer, saved_payment_method_options={"payment_method_save": "enabled"})


def save(control: ControlClient, customer: str, **body: Any) -> str:
    return str(control.call("POST", f"/customers/{customer}/methods", **body)["id"])


def refused(call: Any, *args: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*args)
    return caught.value


def kinds(client: stripe.StripeClient) -> list[str]:
    found = client.v1.events.list({"limit": 100, "types": ["payment_method.*", "customer.*"]}).data
    return [event.type for event in reversed(found)]


def test_a_customer_is_made_read_changed_listed_and_deleted(client: stripe.StripeClient, customer: str) -> None:
    assert client.v1.customers.retrieve(customer).email == "ada@example.com"
    assert client.v1.customers.update(customer, {"email": "new@example.com"}).email == "new@example.com"
    assert [found.id for found in client.v1.customers.list({"email": "new@example.com"}).data] == [customer]
    assert client.v1.customers.delete(customer).deleted is True
    assert client.v1.customers.retrieve(customer).deleted is True
    assert client.v1.customers.list().data == []
    assert refused(client.v1.customers.update, customer, {"email": "a@example.com"}).code == "resource_missing"
    assert kinds(client) == ["customer.created", "customer.updated", "customer.deleted"]


def test_a_page_for_a_customer_knows_the_address_and_offers_saved_cards(
    client: stripe.StripeClient, control: ControlClient, customer: str
) -> None:
    method = save(control, customer)
    session = saving(client, customer)
    assert (session.customer, session.customer_email) == (customer, None)
    assert session.saved_payment_method_options is not None
    assert session.saved_payment_method_options.allow_redisplay_filters == ["always"]

    page = requests.get(str(session.url), timeout=30).text

    assert "Visa ending in 4242, expires 12 / 2040" in page
    assert 'value="ada@example.com"' in page
    assert "Save my payment details for next time" in page
    answer = requests.post(
        str(session.url), data={"method": method, "email": "ada@example.com"}, timeout=30, allow_redirects=False
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://shop.example/done")
    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert done.payment_status == "paid"
    assert done.to_dict()["payment_intent"]["payment_method"] == method


def test_the_box_keeps_the_card_that_was_typed(client: stripe.StripeClient, customer: str) -> None:
    session = saving(client, customer)

    requests.post(str(session.url), data={**CARD, "save": "yes"}, timeout=30, allow_redirects=False)

    (method,) = client.v1.customers.payment_methods.list(customer).data
    assert (method.allow_redisplay, method.card and method.card.last4) == ("always", "4242")
    assert kinds(client)[-1] == "payment_method.attached"


@pytest.mark.parametrize("card", ["4000000000000002", "4242424242424242"])
def test_a_card_is_kept_only_if_it_paid_and_the_box_was_ticked(
    client: stripe.StripeClient, control: ControlClient, customer: str, card: str
) -> None:
    control.pay(saving(client, customer).id, card, save=card != "4242424242424242")

    assert client.v1.customers.payment_methods.list(customer).data == []


def test_a_page_without_a_customer_has_neither_box_nor_saved_cards(client: stripe.StripeClient) -> None:
    page = requests.get(str(open_session(client).url), timeout=30).text

    assert not re.search("Save my payment details|ending in", page)


def test_what_a_page_may_not_be_asked_for(client: stripe.StripeClient, customer: str) -> None:
    for changes, param in (
        ({"customer": customer, "customer_email": "a@example.com"}, "customer_email"),
        ({"customer": "cus_unknown"}, "customer"),
        (
            {"saved_payment_method_options": {"payment_method_save": "enabled"}},
            "saved_payment_method_options[payment_method_save]",
        ),
    ):
        assert refused(lambda changes=changes: open_session(client, **changes)).param == param
    client.v1.customers.delete(customer)
    gone = refused(lambda: open_session(client, customer=customer))
    assert (gone.code, gone.param, gone.http_status) == ("resource_missing", "customer", 400)


def test_a_method_is_detached_for_good(client: stripe.StripeClient, control: ControlClient, customer: str) -> None:
    method = save(control, customer)
    assert client.v1.payment_methods.detach(method).customer is None

    assert "not attached" in str(refused(client.v1.payment_methods.detach, method))
    assert "may not be used again" in str(refused(client.v1.payment_methods.attach, method, {"customer": customer}))
    (event,) = client.v1.events.list({"type": "payment_method.detached"}).data
    assert event.to_dict()["data"]["previous_attributes"] == {"customer": customer}


def test_methods_are_listed_by_customer_and_kind(
    client: stripe.StripeClient, control: ControlClient, customer: str
) -> None:
    first, second = save(control, customer), save(control, customer, wallet="apple_pay")
    of_card: Any = {"customer": customer, "type": "card"}
    of_bank: Any = {"customer": customer, "type": "us_bank_account"}

    assert [found.id for found in client.v1.payment_methods.list(of_card).data] == [second, first]
    assert client.v1.payment_methods.list(of_bank).data == []
    assert client.v1.customers.payment_methods.retrieve(customer, first).id == first
    other = client.v1.customers.create().id
    assert refused(client.v1.customers.payment_methods.retrieve, other, first).code == "resource_missing"


def test_a_default_is_one_of_the_customers_own(
    client: stripe.StripeClient, control: ControlClient, customer: str
) -> None:
    mine = save(control, customer)
    stranger = save(control, client.v1.customers.create().id)
    chosen: Any = {"invoice_settings": {"default_payment_method": mine}}

    made = client.v1.customers.update(customer, chosen)
    assert made.invoice_settings is not None
    assert made.invoice_settings.default_payment_method == mine
    chosen["invoice_settings"]["default_payment_method"] = stranger
    assert refused(client.v1.customers.update, customer, chosen).code == "resource_missing"
    client.v1.payment_methods.detach(mine)
    assert client.v1.customers.retrieve(customer).to_dict()["invoice_settings"]["default_payment_method"] is None
