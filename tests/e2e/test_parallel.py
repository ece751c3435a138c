"""The same thing asked for, or told, many times at once happens once."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

COPIES = 50


def _create_at_once(shop: Any, request: dict[str, Any], *, key: str | None) -> list[Any]:
    with ThreadPoolExecutor(COPIES) as pool:
        return list(pool.map(lambda _: shop.create(request, key=key), range(COPIES)))


def test_fifty_identical_creates_with_one_key_are_one_operation(shop: Any) -> None:
    request, key = shop.request(), str(uuid.uuid4())

    answers = _create_at_once(shop, request, key=key)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(shop.pages_of_auction(request["auctionId"])) == 1
    operations = shop.rows("SELECT * FROM operations WHERE request LIKE %s", f"%{request['auctionId']}%")
    assert len(operations) == 1


def test_fifty_creates_without_a_key_open_one_page(shop: Any) -> None:
    request = shop.request()

    answers = _create_at_once(shop, request, key=None)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: COPIES - 1}
    assert len({answer.json()["paymentSession"]["id"] for answer in answers}) == 1
    assert len({answer.json()["paymentSession"]["stripeCheckoutUrl"] for answer in answers}) == 1
    assert len(shop.pages_of_auction(request["auctionId"])) == 1


def test_a_key_that_was_used_for_another_request_is_refused(shop: Any) -> None:
    key = str(uuid.uuid4())
    assert shop.create(shop.request(), key=key).status_code == 201

    other = shop.request()
    refused = shop.create(other, key=key)

    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")
    assert shop.pages_of_auction(other["auctionId"]) == []


def test_fifty_copies_of_one_webhook_settle_once(shop: Any) -> None:
    created = shop.open_session()
    shop.stripe.webhook_mode("paused")
    payment = shop.pay(created)
    (event,) = shop.events(payment, "checkout.session.completed")

    assert shop.stripe.deliver(event["id"], times=COPIES) == [200] * COPIES

    shop.await_status(created, "completed")
    shop.stripe.webhook_mode("normal")  # lets the payment's other events go
    shop.await_receipt(created)
    assert len(shop.rows("SELECT * FROM stripe_events WHERE id = %s", event["id"])) == 1
    shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_webhooks_that_come_several_times_settle_once(shop: Any) -> None:
    sessions = shop.open_sessions(5)
    shop.stripe.webhook_mode("duplicate", copies=5)

    for created in sessions:
        shop.pay(created)

    for created in sessions:
        shop.await_receipt(created)
        shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_webhooks_that_come_backwards_settle_once(shop: Any, until: Any) -> None:
    created = shop.open_session()
    shop.stripe.webhook_mode("paused")
    shop.pay(created, card="4000000000000002")
    shop.pay(created)

    shop.stripe.call("POST", "/webhooks/flush", reverse=True)

    done = shop.await_receipt(created)
    assert done["paymentSession"]["failure"] is None
    shop.assert_settled_once(created)
    until(
        lambda: not shop.rows("SELECT id FROM stripe_events WHERE handled_at IS NULL AND parked_at IS NULL"),
        "all events to be handled",
    )
    assert shop.status(created)["paymentSession"]["status"] == "completed"


def test_webhooks_of_many_payments_that_are_shuffled_settle_each_once(shop: Any) -> None:
    sessions = shop.open_sessions(5)
    shop.stripe.webhook_mode("reorder", size=7, seconds=0.5)

    for created in sessions:
        shop.pay(created)

    for created in sessions:
        shop.await_receipt(created)
        shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()
