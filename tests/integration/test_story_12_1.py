"""Story 12.1, Stripe Checkout integration: its acceptance criteria, one test or more for each.

AC1 checkout session creation and metadata; AC2 webhook processing; AC3 client launch and analytics (the page that is
launched has its own tests).
"""

import logging
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import ids
from paywindow.models.tables import PaymentSession, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

pytestmark = pytest.mark.usefixtures("audited")


def test_12_1_ac1_a_checkout_session_is_created_once_with_its_metadata_and_a_24_hour_expiry(shop: Shop) -> None:
    request = shop.request()

    first, repeated = shop.create(request, key="order-1"), shop.create(request, key="order-1")

    (page,) = shop.ledger()["sessions"]
    session = shop.session(first["body"]["paymentSession"]["id"])
    assert first == repeated
    assert page["metadata"] | {"attempt": "1"} == {
        "payment_session_id": str(session.id),
        "auction_id": request.auction_id,
        "buyer_id": request.buyer_id,
        "attempt": "1",
    }
    assert page["idempotency_key"] == ids.checkout_key(session.id, 1)
    assert page["expires_at"] - page["created"] == 24 * 3600
    assert first["body"]["paymentWindow"]["duration"] == "24:00:00"


def test_12_1_ac1_the_session_is_kept_with_stripes_id_before_the_caller_is_answered(shop: Shop) -> None:
    outcome = shop.create()

    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert outcome["body"]["paymentSession"]["id"] == str(session.id)
    assert shop.checkout_id(session) == page["id"]


def test_12_1_ac2_the_completed_webhook_updates_session_and_transaction(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)

    shop.tell("checkout.session.completed")

    (row,) = shop.transactions(session)
    assert shop.session(session.id).status == "completed"
    assert (row.status, row.amount_minor) == ("succeeded", 27550)
    assert shop.verdicts() == {"checkout.session.completed": "applied"}


def test_12_1_ac2_the_expired_webhook_ends_with_the_session_expired(shop: Shop) -> None:
    session = shop.open_session()
    shop.pass_time(hours=24, minutes=1)

    shop.deliver()
    shop.sweep()

    assert shop.session(session.id).status == "expired"
    assert not [row for row in shop.rows(StripeEvent) if row.handled_at is None]


def test_12_1_ac2_a_declined_payment_fails_the_session_and_leaves_it_payable(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")

    shop.deliver()

    assert shop.session(session.id).status == "failed"
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is not None


def test_12_1_ac3_the_caller_gets_a_page_to_launch(shop: Shop) -> None:
    body = shop.create()["body"]

    assert body["payUrl"].startswith("http://127.0.0.1:8080/pay/")
    assert body["paymentSession"]["stripeCheckoutUrl"] == shop.ledger()["sessions"][0]["url"]


def test_12_1_ac3_checkout_is_tracked_from_start_to_completion(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="paywindow.analytics"):
        session = shop.open_session()
        shop.pay(session)
        shop.deliver()

    told = {record.message: record.properties for record in caplog.records if record.name == "paywindow.analytics"}
    facts = {
        "payment_session_id": str(session.id),
        "auction_id": str(session.auction_id),
        "amount": "275.50",
        "amount_usd": "275.50",
        "currency": "USD",
    }
    assert list(told)[:2] == ["payments.checkout.started", "payments.checkout.completed"]
    assert facts.items() <= told["payments.checkout.started"].items()
    assert facts.items() <= told["payments.checkout.completed"].items()


def test_12_1_ac3_amounts_in_other_currencies_are_not_called_dollars(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="paywindow.analytics"):
        shop.open_session(currency="EUR")

    (record,) = [record for record in caplog.records if record.message == "payments.checkout.started"]
    assert "amount_usd" not in record.properties
