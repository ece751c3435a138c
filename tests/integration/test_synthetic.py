"""The synthetic purchase: whole against the sandbox, in parts at Stripe in test mode, never with a live key."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from paywindow import metrics
from paywindow.actors import synthetic
from paywindow.messages import build
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession, Receipt, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

PERIOD = 600


def _ended(result: str) -> float:
    return float(metrics.SYNTHETIC_PURCHASE.labels(result)._value.get())


@pytest.fixture(autouse=True)
def _nothing_has_ended() -> None:
    for result in ("succeeded", "failed"):
        metrics.SYNTHETIC_PURCHASE.labels(result).set(0)


@pytest.fixture
def watched(shop: Shop) -> Shop:
    """The shop with a purchase every ten minutes."""
    shop.change_settings(synthetic_purchase_seconds=PERIOD)
    return shop


def _run(shop: Shop, rounds: int = 10) -> None:
    """Work on a purchase as the workers do, with Stripe's events coming in between, until it has ended."""
    shop.run(build("sweeps.synthetic_purchase"))
    for _ in range(rounds):
        while shop.queue.messages:
            message = shop.queue.messages.popleft()
            shop.run(message)
            if message.actor_name == "sweeps.synthetic_purchase":
                break
        shop.deliver(work=False)
        if _ended("succeeded") or _ended("failed"):
            return


def test_a_whole_purchase_is_made_against_the_sandbox_and_is_marked(watched: Shop) -> None:
    _run(watched)
    watched.work()

    assert _ended("succeeded") > 0
    assert _ended("failed") == 0
    (session,) = watched.rows(PaymentSession)
    assert (session.status, session.buyer_id, session.description) == (
        "completed",
        synthetic.BUYER,
        "Synthetic purchase",
    )
    (receipt,) = watched.rows(Receipt)
    assert receipt.stored_at is not None
    assert [row.client for row in watched.rows(Operation)] == ["synthetic"]


def test_a_tick_that_comes_twice_makes_one_purchase_and_the_next_period_another(watched: Shop) -> None:
    _run(watched)
    watched.work()
    _run(watched)
    watched.work()
    assert len(watched.rows(PaymentSession)) == 1

    watched.pass_time(seconds=PERIOD)
    _run(watched)
    watched.work()

    assert len(watched.rows(PaymentSession)) == 2


def test_a_purchase_whose_webhooks_never_come_has_failed_after_a_minute(watched: Shop) -> None:
    watched.run(build("sweeps.synthetic_purchase"))
    watched.run(watched.take("checkout.create"))
    watched.run(watched.take("sweeps.synthetic_purchase"))
    assert _ended("failed") == 0

    watched.pass_time(seconds=61)
    watched.run(watched.take("sweeps.synthetic_purchase"))

    assert _ended("failed") > 0
    assert _ended("succeeded") == 0


def test_it_has_failed_when_stripe_is_away(watched: Shop) -> None:
    watched.run(build("sweeps.synthetic_purchase"))
    watched.run(watched.take("checkout.create"))
    watched.fault("500", times=4, path_prefix="/v1/checkout/sessions")

    watched.run(watched.take("sweeps.synthetic_purchase"))

    watched.mend()
    assert _ended("failed") > 0


def test_without_the_setting_nothing_happens(shop: Shop) -> None:
    shop.run(build("sweeps.synthetic_purchase"))

    assert not shop.queue.messages
    assert _ended("failed") == _ended("succeeded") == 0


class StripeInTestMode(ThreadingHTTPServer):
    """Stands for Stripe in test mode, where there is no way to pay a page: remembers what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.payment_status = "succeeded"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: StripeInTestMode

    def do_GET(self) -> None:
        self._answer(404, {"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}})

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
        self.server.asked.append((self.path, form, self.headers["Idempotency-Key"]))
        answers = {
            "/v1/checkout/sessions": {"id": "cs_test_1", "object": "checkout.session", "status": "open"},
            "/v1/checkout/sessions/cs_test_1/expire": {
                "id": "cs_test_1",
                "object": "checkout.session",
                "status": "expired",
                "payment_intent": None,
            },
            "/v1/payment_intents": {"id": "pi_1", "object": "payment_intent", "status": self.server.payment_status},
        }
        self._answer(200, answers[self.path])

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def test_mode() -> Iterator[StripeInTestMode]:
    with StripeInTestMode() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_in_test_mode_a_page_is_opened_and_expired_and_a_test_card_charged_without_a_trace_in_the_books(
    make_shop: Callable[..., Shop], test_mode: StripeInTestMode
) -> None:
    shop = make_shop(STRIPE_API_BASE=test_mode.url, SYNTHETIC_PURCHASE_SECONDS="86400")

    shop.run(build("sweeps.synthetic_purchase"))
    shop.run(build("sweeps.synthetic_purchase"))

    assert _ended("succeeded") > 0
    page, expire, payment = test_mode.asked[:3]
    assert (page[0], expire[0]) == ("/v1/checkout/sessions", "/v1/checkout/sessions/cs_test_1/expire")
    assert payment[0] == "/v1/payment_intents"
    assert payment[1]["payment_method"] == "pm_card_visa"
    assert payment[1]["confirm"] == "true"
    # The same keys again: Stripe answers what it answered, and makes nothing new.
    assert [(path, key) for path, _, key in test_mode.asked[3:] if not path.endswith("/expire")] == [
        (path, key) for path, _, key in (page, payment)
    ]
    assert page[2]
    assert payment[2]
    # Nothing names a payment session, so the events about them are another program's to us.
    assert not [name for _, form, _ in test_mode.asked for name in form if "payment_session_id" in name]
    for table in (PaymentSession, CheckoutAttempt, Operation, Receipt, StripeEvent):
        assert shop.rows(table) == []


def test_a_test_payment_that_does_not_succeed_is_a_failure(
    make_shop: Callable[..., Shop], test_mode: StripeInTestMode
) -> None:
    test_mode.payment_status = "requires_payment_method"
    shop = make_shop(STRIPE_API_BASE=test_mode.url, SYNTHETIC_PURCHASE_SECONDS="86400")

    shop.run(build("sweeps.synthetic_purchase"))

    assert _ended("failed") > 0
    assert _ended("succeeded") == 0
