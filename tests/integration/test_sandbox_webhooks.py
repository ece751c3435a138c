"""Webhooks as Stripe sends them: order of the events, signatures, retries, and disorder on demand."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

SECRET = "whsec_test"
PATIENCE = 30.0


class Receiver:
    """A webhook endpoint that keeps what it gets and answers what it is told."""

    def __init__(self) -> None:
        self.deliveries: queue.Queue[tuple[bytes, str]] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.deliveries.put((body, self.headers["Stripe-Signature"]))
                self.send_response(200 if receiver.answers.empty() else receiver.answers.get())
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing to say."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def next(self) -> dict[str, Any]:
        body, header = self.deliveries.get(timeout=PATIENCE)
        stripe.WebhookSignature.verify_header(body.decode(), header, SECRET, 300)
        event: dict[str, Any] = json.loads(body)
        return event

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.stop()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[SandboxServer]:
    config = SandboxConfig(webhook_url=receiver.url, webhook_secrets=(SECRET,), webhook_retry_base=0.01)
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_webhooks", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


@pytest.fixture
def session_id(client: stripe.StripeClient) -> str:
    price: Any = {"currency": "usd", "unit_amount": 27_550, "product_data": {"name": "Lot 7"}}
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "line_items": [{"quantity": 1, "price_data": price}],
        }
    ).id


def kinds_in_order(client: stripe.StripeClient) -> list[str]:
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


def test_a_card_payment_emits_stripes_events_in_stripes_order(
    client: stripe.StripeClient, control: ControlClient, receiver: Receiver, session_id: str
) -> None:
    control.pay(session_id)
    expected = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    assert kinds_in_order(client) == expected
    received = {event["type"]: event for event in (receiver.next() for _ in expected)}
    assert received.keys() == set(expected)
    completed = received["checkout.session.completed"]
    assert completed["api_version"] == stripe.api_version
    assert completed["livemode"] is False
    session = completed["data"]["object"]
    assert (session["status"], session["payment_status"], session["url"]) == ("complete", "paid", None)
    assert received["charge.succeeded"]["data"]["object"]["balance_transaction"] is None


def test_fees_come_later_with_charge_updated(
    client: stripe.StripeClient, control: ControlClient, receiver: Receiver, session_id: str
) -> None:
    paid = control.pay(session_id)
    assert control.release_fees() == [paid["charge"]]
    assert control.release_fees() == []
    updated = client.v1.events.list({"types": ["charge.updated"]}).data[0].to_dict()["data"]
    assert updated["previous_attributes"] == {"balance_transaction": None}
    transaction = client.v1.balance_transactions.retrieve(updated["object"]["balance_transaction"])
    assert (transaction.fee, transaction.net) == (829, 26_721)


def test_a_decline_leaves_the_session_open(
    client: stripe.StripeClient, control: ControlClient, receiver: Receiver, session_id: str
) -> None:
    declined = control.pay(session_id, "4000000000009995")
    assert (declined["result"], declined["status"]) == ("declined", "open")
    assert declined["error"]["decline_code"] == "insufficient_funds"
    control.pay(session_id)
    assert kinds_in_order(client) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    failed = client.v1.events.list({"types": ["payment_intent.payment_failed"]}).data[0]
    error = failed.to_dict()["data"]["object"]["last_payment_error"]
    assert error["charge"] == declined["charge"]
    assert error["payment_method"]["card"]["last4"] == "9995"


@pytest.mark.parametrize(("paid", "ending"), [(True, "succeeded"), (False, "failed")])
def test_a_delayed_method_completes_unpaid_and_is_settled_later(
    client: stripe.StripeClient, control: ControlClient, receiver: Receiver, session_id: str, paid: bool, ending: str
) -> None:
    submitted = control.pay(session_id, method="us_bank_account")
    assert (submitted["result"], submitted["status"], submitted["payment_status"]) == (
        "processing",
        "complete",
        "unpaid",
    )
    control.settle(session_id, paid=paid)
    assert kinds_in_order(client) == [
        "payment_intent.created",
        "checkout.session.completed",
        "charge.pending",
        "payment_intent.processing",
        "charge.succeeded" if paid else "charge.failed",
        "payment_intent.succeeded" if paid else "payment_intent.payment_failed",
        f"checkout.session.async_payment_{ending}",
    ]


def test_3d_secure_asks_first(client: stripe.StripeClient, control: ControlClient, session_id: str) -> None:
    assert control.pay(session_id, "4000000000003220")["result"] == "requires_action"
    failed = control.authenticate(session_id, passed=False)
    assert (failed["error"]["code"], failed["charge"]) == ("payment_intent_authentication_failure", None)
    assert control.pay(session_id, "4000008400001629", authenticate=True)["result"] == "declined"
    assert control.pay(session_id, "4000000000003220", authenticate=True)["result"] == "succeeded"


def test_money_can_arrive_after_expiry_when_asked_for(receiver: Receiver) -> None:
    with SandboxServer(SandboxConfig(authentication_survives_expiry=True)) as server:
        client = stripe.StripeClient("sk_test_late", base_addresses={"api": server.url})
        control = ControlClient(server.url)
        price: Any = {"currency": "usd", "unit_amount": 5_000, "product_data": {"name": "Lot 7"}}
        session = client.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "https://shop.example/done",
                "line_items": [{"quantity": 1, "price_data": price}],
            }
        )
        control.pay(session.id, "4000000000003220")
        client.v1.checkout.sessions.expire(session.id)
        assert control.authenticate(session.id)["result"] == "succeeded"
        assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert kinds_in_order(client)[-2:] == ["charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize("failure", [500, 302, 404])
def test_anything_but_2xx_is_retried_and_signed_anew(
    control: ControlClient, receiver: Receiver, session_id: str, failure: int
) -> None:
    control.webhook_mode("drop", types=["payment_intent.*", "charge.*"])
    receiver.answers.put(failure)
    receiver.answers.put(failure)
    control.pay(session_id, wait=True)
    tries = [receiver.next() for _ in range(3)]
    assert {event["type"] for event in tries} == {"checkout.session.completed"}
    assert len({event["id"] for event in tries}) == 1
    statuses = [attempt["status"] for attempt in control.webhooks()["attempts"]]
    assert statuses == [failure, failure, 200]


def test_pending_webhooks_falls_when_the_endpoint_answers(
    client: stripe.StripeClient, control: ControlClient, receiver: Receiver, session_id: str
) -> None:
    control.webhook_mode("paused", types=["charge.succeeded"])
    control.pay(session_id, wait=True)
    event = client.v1.events.list({"delivery_success": False, "types": ["charge.succeeded"]}).data[0]
    assert event.pending_webhooks == 1
    assert control.deliver(event.id) == [200]
    assert client.v1.events.retrieve(event.id).pending_webhooks == 0


def test_while_a_secret_is_rolled_both_verify(control: ControlClient, receiver: Receiver, session_id: str) -> None:
    endpoint = control.webhooks()["endpoints"][0]["id"]
    control.call("POST", f"/webhooks/{endpoint}/roll", secret="whsec_new")
    control.webhook_mode("drop", types=["payment_intent.*", "charge.*"])
    control.pay(session_id)
    body, header = receiver.deliveries.get(timeout=PATIENCE)
    assert header.count("v1=") == 2
    for secret in ("whsec_new", SECRET):
        stripe.WebhookSignature.verify_header(body.decode(), header, secret, 300)


def test_paused_events_wait_and_leave_in_order_or_backwards(
    control: ControlClient, receiver: Receiver, session_id: str
) -> None:
    control.webhook_mode("paused")
    control.pay(session_id, wait=True)
    assert len(control.webhooks()["held"]) == 4
    assert control.call("POST", "/webhooks/flush", reverse=True)["sent"] == 4
    assert len({receiver.next()["id"] for _ in range(4)}) == 4
    assert control.webhooks()["held"] == []


def test_duplicates_share_the_event_id(control: ControlClient, receiver: Receiver, session_id: str) -> None:
    control.webhook_mode("duplicate", copies=5, types=["checkout.session.completed"])
    control.pay(session_id)
    events = [receiver.next() for _ in range(8)]
    completed = [event["id"] for event in events if event["type"] == "checkout.session.completed"]
    assert (len(completed), len(set(completed))) == (5, 1)


def test_twins_are_two_events_for_one_fact(control: ControlClient, receiver: Receiver, session_id: str) -> None:
    control.webhook_mode("twin", types=["checkout.session.completed"])
    control.pay(session_id)
    completed = [event for event in (receiver.next() for _ in range(5)) if event["type"].startswith("checkout")]
    assert len({event["id"] for event in completed}) == 2
    assert completed[0]["data"] == completed[1]["data"]


def test_made_up_events_are_signed_like_any_other(control: ControlClient, receiver: Receiver) -> None:
    control.emit("unheard.of", {"id": "x_1", "object": "x"}, account="acct_1")
    event = receiver.next()
    assert (event["type"], event["account"], event["data"]["object"]["id"]) == ("unheard.of", "acct_1", "x_1")


def test_reordered_events_arrive_newest_first(control: ControlClient, receiver: Receiver, session_id: str) -> None:
    control.webhook_mode("reorder", size=4)
    control.pay(session_id)
    assert [receiver.next()["type"] for _ in range(4)] == [
        "checkout.session.completed",
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]


def test_delayed_events_arrive_in_the_end(control: ControlClient, receiver: Receiver, session_id: str) -> None:
    control.webhook_mode("delay", seconds=0.05)
    control.pay(session_id)
    assert len({receiver.next()["id"] for _ in range(4)}) == 4


def test_an_endpoint_made_by_the_api_gets_what_it_asked_for_until_deleted(
    client: stripe.StripeClient, control: ControlClient, session_id: str
) -> None:
    other = Receiver()
    endpoint = client.v1.webhook_endpoints.create(
        {"url": other.url, "enabled_events": ["checkout.session.completed", "checkout.session.expired"]}
    )
    assert endpoint.secret is not None
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    control.pay(session_id)
    body, header = other.deliveries.get(timeout=PATIENCE)
    event = stripe.Webhook.construct_event(body, header, endpoint.secret)
    assert event.type == "checkout.session.completed"
    assert client.v1.webhook_endpoints.delete(endpoint.id).deleted is True
    assert len(client.v1.webhook_endpoints.list().data) == 1
    other.stop()
