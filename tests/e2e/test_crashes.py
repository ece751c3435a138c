"""Processes die, freeze and come back, at the worst moments; nobody pays twice and nothing is lost."""

import uuid
from contextlib import closing
from typing import Any

import psycopg2
import requests

CREATE = {"method": "POST", "path_prefix": "/v1/checkout/sessions"}


def _kill_between_stripe_and_commit(shop: Any, until: Any, request: dict[str, Any], key: str) -> requests.Response:
    """Send a create, have Stripe open the page but hold its answer, and kill the worker that waits for it."""
    shop.stripe.fault("hold_reply", **CREATE)
    accepted = shop.create(request, key=key, wait=0)
    assert accepted.status_code == 202
    until(shop.stripe.holds, "Stripe to have opened the page")
    shop.kill("worker-interactive")
    shop.stripe.release_holds()
    return accepted


def _assert_one_payable_page(shop: Any, request: dict[str, Any], created: dict[str, Any]) -> None:
    (page,) = shop.pages_of_auction(request["auctionId"])
    assert page["status"] == "open"
    assert page["url"] == created["paymentSession"]["stripeCheckoutUrl"]
    (session,) = shop.rows("SELECT * FROM payment_sessions WHERE auction_id = %s", request["auctionId"])
    (attempt,) = shop.rows("SELECT * FROM checkout_attempts WHERE session_id = %s", session["id"])
    assert attempt["stripe_checkout_id"] == page["id"]


def test_a_worker_killed_between_stripes_answer_and_the_commit_leaves_one_payable_page(shop: Any, until: Any) -> None:
    request, key = shop.request(), str(uuid.uuid4())
    _kill_between_stripe_and_commit(shop, until, request, key)
    shop.stack.start("worker-interactive")

    def repeat() -> requests.Response | None:
        answer: requests.Response = shop.create(request, key=key)
        assert answer.status_code in (201, 202), answer.text
        return answer if answer.status_code == 201 else None

    created = until(repeat, "the repeated create to be answered").json()

    _assert_one_payable_page(shop, request, created)
    shop.pay(created)
    shop.await_receipt(created)
    shop.assert_settled_once(created)


def test_a_worker_killed_while_settling_and_opening_finishes_both_although_nobody_asks_again(
    shop: Any, until: Any
) -> None:
    paid = shop.open_session()
    session_id = paid["paymentSession"]["id"]
    with closing(psycopg2.connect(shop.stack.environment["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        # Whoever settles must lock the session, and waits here.
        cursor.execute("SELECT FROM payment_sessions WHERE id = %s FOR UPDATE", [session_id])
        shop.pay(paid)
        until(lambda: shop.rows("SELECT FROM pg_locks WHERE NOT granted"), "the worker to be settling")
        request = shop.request()
        accepted = _kill_between_stripe_and_commit(shop, until, request, str(uuid.uuid4()))
    assert shop.rows("SELECT * FROM transactions WHERE session_id = %s", session_id) == []

    shop.stack.start("worker-interactive")

    def outcome() -> requests.Response | None:
        answer: requests.Response = shop.call("GET", accepted.headers["Location"])
        return answer if answer.status_code != 202 else None

    opened = until(outcome, "the operation's outcome")
    assert opened.status_code == 201
    _assert_one_payable_page(shop, request, opened.json())
    shop.await_receipt(paid)
    shop.assert_settled_once(paid)
    shop.assert_receipts_are_gapless()


def test_a_worker_killed_while_rendering_leaves_one_receipt(shop: Any, until: Any) -> None:
    created = shop.open_session()
    shop.renderer.close()
    shop.pay(created)
    until(shop.renderer.waiting, "the receipt to be rendered")

    shop.kill("worker-receipts")
    shop.renderer.open()
    assert until(lambda: shop.status(created)["receipt"], "the receipt's number to be published")["ready"] is False
    shop.stack.start("worker-receipts")

    shop.await_receipt(created)
    shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_receipts_that_wait_do_not_delay_a_checkout(shop: Any, until: Any) -> None:
    sessions = shop.open_sessions(12)  # more than the receipts worker has threads
    shop.renderer.close()
    for created in sessions:
        shop.pay(created)
    until(lambda: shop.renderer.waiting() >= 8, "all threads of the receipts worker to be busy")

    # While nothing can be drawn, a winner can open a page, pay, and see that it is paid.
    later = shop.open_session()
    shop.pay(later)
    assert shop.await_status(later, "completed")["paymentSession"]["status"] == "completed"
    assert not any(
        shop.rows("SELECT FROM receipts WHERE session_id = %s AND stored_at IS NOT NULL", later["paymentSession"]["id"])
    )

    shop.renderer.open()
    for created in [*sessions, later]:
        shop.await_receipt(created)
        shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_wiping_redis_after_the_payments_were_recorded_loses_nothing(shop: Any, until: Any) -> None:
    sessions = shop.open_sessions(3)
    shop.freeze("worker-receipts")
    payments = [shop.pay(created) for created in sessions]
    events = [shop.events(payment, "checkout.session.completed")[0]["id"] for payment in payments]
    until(
        lambda: len(shop.rows("SELECT FROM stripe_events WHERE id = ANY(%s)", events)) == len(events),
        "the events to be recorded",
    )

    shop.redis_client().flushall()
    shop.thaw("worker-receipts")

    for created in sessions:
        shop.await_receipt(created)
        shop.assert_settled_once(created)
    shop.assert_receipts_are_gapless()


def test_while_redis_is_away_the_front_end_says_so_and_recovers(shop: Any, until: Any) -> None:
    created = shop.open_session()
    shop.redis.kill()

    for answer in (
        shop.create(),
        shop.call("GET", f"/payments/checkout/{created['paymentSession']['id']}/status"),
    ):
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert answer.headers["Retry-After"].isdecimal()
        assert answer.json()["code"] == "unavailable"
    assert shop.call("GET", "/readyz").status_code == 503
    assert shop.call("GET", "/healthz").status_code == 200
    shop.pay(created)  # Stripe is told 503, and comes again

    shop.redis.start()

    request, key = shop.request(), str(uuid.uuid4())
    until(lambda: shop.create(request, key=key).status_code == 201, "a create to be answered")
    shop.await_receipt(created)
    shop.assert_settled_once(created)


def test_what_redis_has_taken_survives_its_restart(shop: Any) -> None:
    created = shop.open_session()
    shop.freeze("worker-interactive")
    shop.pay(created, wait=True)  # until the webhook is acknowledged

    shop.redis.kill()
    shop.redis.start()
    shop.thaw("worker-interactive")
    shop.await_ready()

    shop.await_receipt(created)
    shop.assert_settled_once(created)


def test_a_payment_made_while_the_front_end_is_away_is_learned_when_it_is_back(shop: Any) -> None:
    created = shop.open_session()
    shop.stack.processes["front"].stop()
    shop.pay(created)

    shop.stack.start("front")
    shop.await_ready()

    shop.await_receipt(created)
    shop.assert_settled_once(created)
