"""What is read from Stripe's PaymentMethod and Customer objects."""

from typing import Any

import pytest

from paywindow.errors import Permanent
from paywindow.payment_methods import read_customer, read_method


def method(kind: str = "card", **details: Any) -> dict[str, Any]:
    return {"id": "pm_1", "object": "payment_method", "created": 1_769_855_400, "type": kind, kind: details}


CARD = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040}


@pytest.mark.parametrize(
    ("found", "kind", "brand", "last4"),
    [
        (method(**CARD), "card", "visa", "4242"),
        (method(**CARD, wallet=None), "card", "visa", "4242"),
        (method(**CARD, wallet={"type": "apple_pay"}), "applePay", "visa", "4242"),
        (method(**CARD, wallet={"type": "google_pay"}), "googlePay", "visa", "4242"),
        (method(**CARD, wallet={"type": "samsung_pay"}), "card", "visa", "4242"),
        (method("us_bank_account", bank_name="STRIPE BANK", last4="6789"), "bankTransfer", "STRIPE BANK", "6789"),
        (method("sepa_debit", last4="3000"), "bankTransfer", None, "3000"),
        (method("customer_balance"), "bankTransfer", None, None),
        (method("paypal", payer_email="a@b.example"), "other", None, None),
        (method("link"), "other", None, None),
    ],
)
def test_a_method_is_read_by_its_kind(found: dict[str, Any], kind: str, brand: str | None, last4: str | None) -> None:
    read = read_method(found)

    assert (read.kind, read.brand, read.last4, read.stripe_type) == (kind, brand, last4, found["type"])


def test_a_card_tells_its_expiry() -> None:
    read = read_method(method(**CARD))

    assert (read.id, read.exp_month, read.exp_year) == ("pm_1", 12, 2040)


@pytest.mark.parametrize("found", [{}, {"id": "pm_1"}, {"id": "pm_1", "type": "card"}, method() | {"card": "visa"}])
def test_what_is_not_a_method_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match="not a PaymentMethod"):
        read_method(found)


def test_a_customer_tells_its_default_or_that_it_is_deleted() -> None:
    living = {"id": "cus_1", "email": "a@b.example", "invoice_settings": {"default_payment_method": "pm_1"}}

    assert read_customer(living).default_method == "pm_1"
    assert not read_customer(living).deleted
    assert read_customer({"id": "cus_1", "object": "customer", "deleted": True}).deleted
