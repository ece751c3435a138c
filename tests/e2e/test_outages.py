"""What the processes need is away, full or hangs: what can goes on, the rest is refused at once, and it recovers by itself."""

import hashlib
import hmac
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

CREATE = {"method": "POST", "path_prefix": "/v1/checkout/sessions"}
#: Of the eight threads of a worker process, two are kept for the other two queues of its role.
THREADS_FOR_COMMANDS = 6


def assert_unavailable(answer: Any) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json; charset=utf-8")
    assert answer.json()["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0


def dead_letters(shop: Any) -> int:
    client = shop.redis_client()
    return sum(client.zcard(key) for key in client.keys("dramatiq:*.XQ"))


@pytest.fixture
def patient(shop: Any) -> Iterator[None]:
    """The interactive worker gives Stripe a minute, so that a call that hangs does so for the whole test."""

    def restart() -> None:
        shop.stack.processes["worker-interactive"].stop()
        shop.stack.start("worker-interactive")

    shop.stack.environment["STRIPE_TIMEOUT_SECONDS"] = "60"
    restart()
    yield
    del shop.stack.environment["STRIPE_TIMEOUT_SECONDS"]
    restart()


def test_creates_that_hang_at_stripe_do_not_hold_up_payments(shop: Any, until: Any, patient: None) -> None:
    created = shop.open_session()
    # Given: more creates than a worker has threads, and a Stripe that answers none of them
    shop.stripe.fault("hold_reply", times=100, **CREATE)
    accepted = [shop.create(wait=0) for _ in range(12)]
    until(lambda: len(shop.stripe.holds()) == THREADS_FOR_COMMANDS, "the creates to hang")
    # When: a buyer pays
    shop.pay(created)
    # Then: the payment is recorded, receipt and all, while the creates still hang
    shop.await_receipt(created)
    assert len(shop.stripe.holds()) == THREADS_FOR_COMMANDS
    shop.assert_settled_once(created)

    shop.stripe.call("DELETE", "/faults")
    shop.stripe.release_holds()
    for answer in accepted:
        assert answer.status_code == 202
        location = answer.headers["Location"]
        until(lambda location=location: shop.call("GET", location).status_code == 201, "the create to be done")


def test_while_stripe_is_away_creates_say_so_and_go_on_when_it_is_back(shop: Any, until: Any) -> None:
    shop.stripe.fault("refuse_connection", times=10_000, path_prefix="/v1/")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.create(key=str(uuid.uuid4())), range(8)))

    # None waited until the end of its patience: that answer would not know why.
    assert [answer.status_code for answer in answers] == [202] * 8
    assert {answer.json()["operation"]["code"] for answer in answers} == {"stripe_unavailable"}
    assert all(int(answer.headers["Retry-After"]) > 1 for answer in answers)

    shop.stripe.call("DELETE", "/faults")
    for answer in answers:
        location = answer.headers["Location"]
        until(lambda location=location: shop.call("GET", location).status_code == 201, "the create to be done")
    assert dead_letters(shop) == 0


def test_while_postgres_is_away_webhooks_are_taken_and_states_are_told(shop: Any, until: Any) -> None:
    created = shop.open_session()
    shop.status(created)
    shop.postgres.stop()

    payment = shop.pay(created, wait=True)
    accepted = shop.create(wait=0)

    for event in shop.events(payment, "checkout.session.completed"):
        assert shop.stripe.deliver(event["id"]) == [200]
    assert accepted.status_code == 202
    assert shop.status(created)["paymentSession"]["status"] == "pending"
    assert shop.call("GET", "/readyz").status_code == 200

    shop.postgres.start()

    shop.await_receipt(created)
    shop.assert_settled_once(created)
    until(lambda: shop.call("GET", accepted.headers["Location"]).status_code == 201, "the create to be done")
    assert dead_letters(shop) == 0


def test_a_redis_that_hangs_is_told_at_once_and_nothing_is_lost(shop: Any, until: Any) -> None:
    created = shop.open_session()
    os.kill(shop.redis.pid, signal.SIGSTOP)
    try:
        until(lambda: shop.call("GET", "/readyz").status_code == 503, "the front end to notice")
        with ThreadPoolExecutor(20) as pool:
            for answer in pool.map(lambda _: shop.create(), range(100)):
                assert_unavailable(answer)
        assert_unavailable(shop.call("GET", f"/payments/checkout/{created['paymentSession']['id']}/status"))
        assert shop.call("GET", "/healthz").status_code == 200
        shop.pay(created)  # Stripe is told 503, and comes again
    finally:
        os.kill(shop.redis.pid, signal.SIGCONT)

    shop.await_ready()
    shop.await_receipt(created)
    shop.assert_settled_once(created)
    assert shop.create().status_code == 201
    shop.stack.check()


def test_a_queue_that_fills_redis_is_refused_and_worked_off(shop: Any, until: Any) -> None:
    created = shop.open_session()
    client = shop.redis_client()
    shop.freeze("worker-interactive")
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)
    # Given: webhooks until there is no room for more
    answers: list[Any] = []

    def is_full() -> bool:
        answers.append(_send_event(shop, characters=20_000))
        return bool(answers[-1].status_code == 503)

    until(is_full, "Redis to be full")
    answers += [_send_event(shop, characters=20_000) for _ in range(10)]
    taken, refused = ([answer for answer in answers if answer.status_code == status] for status in (200, 503))
    assert taken
    assert len(taken) + len(refused) == len(answers)
    assert_unavailable(refused[0])
    assert shop.status(created)["paymentSession"]["status"] == "pending"
    # When: the workers go on
    shop.thaw("worker-interactive")
    # Then: there is room again, without anybody's help, and a payment goes its way
    until(lambda: _send_event(shop, characters=20_000).status_code == 200, "room for an event")
    assert client.config_get("maxmemory")["maxmemory"] != "0"
    shop.pay(created)
    shop.await_receipt(created)
    shop.assert_settled_once(created)


def _send_event(shop: Any, *, characters: int) -> Any:
    """Deliver an event of that size, signed as Stripe's are."""
    about = {"id": "x_1", "object": "invented", "text": "x" * characters}
    outline = {"object": "event", "type": "invented.event", "livemode": False, "created": int(time.time())}
    body = json.dumps({**outline, "id": f"evt_{uuid.uuid4().hex}", "data": {"object": about}})
    secret, at = shop.stack.environment["STRIPE_WEBHOOK_SECRET"], int(time.time())
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
    return requests.post(f"{shop.stack.front_url}/payments/webhooks/stripe", data=body, headers=headers, timeout=60)
