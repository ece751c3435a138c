"""Bank debits: submitted now, paid or refused later, and told of in any order."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from paywindow.models.tables import PaymentSession, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


@pytest.fixture
def bank_shop(make_shop: Callable[..., Shop]) -> Shop:
    """A shop that also takes bank debits."""
    return make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")


def submit(shop: Shop) -> PaymentSession:
    session = shop.open_session()
    shop.control(f"checkout/{shop.checkout_id(session)}/pay", method="us_bank_account")
    return session


def test_a_delayed_payment_is_processing_until_the_money_comes(bank_shop: Shop) -> None:
    shop = bank_shop
    session = submit(shop)
    shop.deliver()
    assert shop.session(session.id).status == "processing"
    assert shop.transactions(session) == []
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None

    shop.pass_time(hours=72)
    shop.sweep()
    assert shop.session(session.id).status == "processing"
    shop.control(f"checkout/{shop.checkout_id(session)}/settle", paid=True)
    shop.deliver()

    # Submitted in time; whether money that comes after the deadline is late is judged by when it came.
    assert [row.status for row in shop.transactions(session)] == ["succeeded"]
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


def test_a_delayed_payment_that_comes_in_time_settles(bank_shop: Shop) -> None:
    shop = bank_shop
    session = submit(shop)
    shop.deliver()
    shop.control(f"checkout/{shop.checkout_id(session)}/settle", paid=True)

    shop.deliver()

    assert shop.session(session.id).status == "completed"
    assert shop.notifications(session) == ["payment.processing", "payment.completed", "receipt.issued"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_delayed_payment_that_does_not_come_fails_the_session_in_whatever_order_that_is_told(
    bank_shop: Shop, order: tuple[int, ...]
) -> None:
    shop = bank_shop
    session = submit(shop)
    shop.control(f"checkout/{shop.checkout_id(session)}/settle", paid=False)
    told = ("checkout.session.completed", "payment_intent.payment_failed", "checkout.session.async_payment_failed")

    shop.tell(*[told[place] for place in order])
    shop.pass_time(seconds=30)  # before the first retry is due
    shop.sweep()

    after = shop.session(session.id)
    assert after.status == "failed"
    assert after.failure_code
    assert [row.status for row in shop.transactions(session)] == ["failed"]
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_delayed_payment_that_comes_settles_the_session_in_whatever_order_that_is_told(
    bank_shop: Shop, order: tuple[int, ...]
) -> None:
    shop = bank_shop
    shop.deaf_to = {"receipts.render"}
    session = submit(shop)
    shop.control(f"checkout/{shop.checkout_id(session)}/settle", paid=True)
    told = ("checkout.session.completed", "payment_intent.succeeded", "checkout.session.async_payment_succeeded")

    shop.tell(*[told[place] for place in order])

    assert shop.session(session.id).status == "completed"
    assert [row.status for row in shop.transactions(session)] == ["succeeded"]
