"""Currencies with rules of their own, from the create to the receipt's amount, against the sandbox."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from paywindow.actors import runtime
from paywindow.checkout import freeze_params, read_checkout
from paywindow.clock import now
from paywindow.currencies import CURRENCIES
from paywindow.models.tables import Receipt
from paywindow.money import Money, chargeable

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


def params(amount_minor: int, code: str) -> dict[str, Any]:
    """What an attempt would freeze."""
    at = now()
    return freeze_params(
        session_id="s",
        attempt_number=1,
        auction_id="a",
        buyer_id="b",
        amount_minor=amount_minor,
        currency=code,
        description=None,
        buyer_email=None,
        locale=None,
        success_url="https://shop.example/done",
        cancel_url=None,
        method_types=("card",),
        save_methods=False,
        window_ends=at,
        at=at,
    )


def test_the_bounds_of_every_currency_open_a_page(shop: Shop) -> None:
    gateway = runtime.runtime().gateway
    for kind in CURRENCIES.values():
        for bound in (kind.minimum, kind.maximum):
            page = read_checkout(gateway.create_checkout(params(bound, kind.code), f"{kind.code}-{bound}"))
            assert (page.amount_minor, page.currency) == (bound, kind.code)


@pytest.mark.parametrize(
    ("amount", "code", "at_stripe"),
    [("1500", "ISK", 150_000), ("1500", "UGX", 150_000), ("1500", "JPY", 1_500), ("12.34", "KWD", 12_340)],
)
def test_a_special_currency_is_paid_settled_and_receipted_exactly(
    shop: Shop, amount: str, code: str, at_stripe: int
) -> None:
    shop.deaf_to.add("receipts.render")
    minor = chargeable(Decimal(amount), code).minor
    session = shop.open_session(amount_minor=minor, currency=code)

    shop.pay(session)
    shop.deliver()

    (charge,) = shop.ledger()["charges"]
    assert (charge["amount"], charge["currency"]) == (at_stripe, code.lower())
    assert shop.session(session.id).status == "completed"
    shown = shop.snapshot(session)["transaction"]["amount"]
    assert Decimal(shown) == Decimal(amount) == Money(minor, code).decimal()
    (receipt,) = shop.rows(Receipt)
    assert (receipt.total_minor, receipt.currency) == (minor, code)
