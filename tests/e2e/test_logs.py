"""The logs of a whole run: ids join what the processes say, and nothing in them must not be there."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from paywindow import messages
from paywindow.broker import make_broker
from paywindow.hosted_page import DECLINES, PAYS, submit_card

EMAIL = "ada.winner@example.com"
NAME = "Adalind Wienerin"
TYPED_BY_MISTAKE = "5555 5555 5555 4444"


class Run:
    """An installation that tells all it can, after purchases, a decline, a refund and errors."""

    def __init__(self, installation: Any, until: Any) -> None:
        self.installation, self.until = installation, until
        self.request_id = f"test-{uuid.uuid4().hex}"
        self.paid = self._buy()
        self._decline_and_refund()
        self.broken_event = self._fail_on_an_event()
        self.broken_message = self._fail_on_a_message()

    def lines(self, **wanted: str) -> list[dict[str, Any]]:
        """All JSON lines of our processes with these values."""
        found = []
        for path in sorted(self.installation.stack.folder.glob("logs/*.log")):
            if path.stem not in ("sandbox", "migrate"):
                found += [{**json.loads(line), "file": path.stem} for line in path.read_text().splitlines()]
        return [line for line in found if wanted.items() <= line.items()]

    def await_line(self, what: str, **wanted: str) -> dict[str, Any]:
        return dict(self.until(lambda: self.lines(**wanted), what)[0])

    def _buy(self) -> dict[str, Any]:
        shop = self.installation
        headers = {"X-Request-Id": self.request_id}
        answer = shop.call("POST", "/payments/checkout/create", json=shop.request(buyerEmail=EMAIL), headers=headers)
        assert answer.status_code == 201
        assert answer.headers["X-Request-Id"] == self.request_id
        created: dict[str, Any] = answer.json()
        requests.get(created["payUrl"], headers={"Accept": "text/html"}, timeout=30)
        assert submit_card(created["paymentSession"]["stripeCheckoutUrl"], PAYS)
        found = shop.await_receipt(created)
        requests.get(found["receipt"]["downloadUrl"], timeout=30)
        shop.call("GET", f"/payments/receipts/{found['receipt']['id']}/download")
        return created

    def _decline_and_refund(self) -> None:
        shop = self.installation
        created = shop.open_session(buyerEmail=EMAIL)
        assert not submit_card(created["paymentSession"]["stripeCheckoutUrl"], DECLINES)
        shop.await_status(created, "failed")
        refund = {"sessionId": self.paid["paymentSession"]["id"], "amount": 20, "reason": f"{EMAIL} asked for it"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        assert shop.call("POST", "/payments/refunds", json=refund, headers=headers).status_code in (200, 201)

    def _fail_on_an_event(self) -> str:
        """Stripe sends an event that no handler can read, about a buyer who typed a card's number as a name."""
        event_id = f"evt_{uuid.uuid4().hex}"
        thing = {"id": f"ch_{EMAIL}", "created": TYPED_BY_MISTAKE, "billing_details": {"email": EMAIL, "name": NAME}}
        event = {"id": event_id, "object": "event", "type": "charge.succeeded", "livemode": False}
        event |= {"created": int(time.time()), "data": {"object": thing}}
        body, stamp = json.dumps(event), int(time.time())
        secret = self.installation.stack.environment["STRIPE_WEBHOOK_SECRET"]
        signature = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={stamp},v1={signature}", "X-Request-Id": "the-webhook"}
        answer = self.installation.call("POST", "/payments/webhooks/stripe", data=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return event_id

    def _fail_on_a_message(self) -> str:
        """A message that its actor cannot read, as an older front end might send."""
        request = {"auction_id": f"not an id but {TYPED_BY_MISTAKE} of {EMAIL}", "buyer_name": NAME}
        message = messages.command("checkout.create", uuid.uuid4(), "shop", "0" * 64, request)
        broker = make_broker(self.installation.stack.environment["REDIS_URL"])
        broker.enqueue(message)
        broker.close()
        return message.message_id


@pytest.fixture(scope="module")
def run(open_installation: Any, until: Any) -> Iterator[Run]:
    with open_installation(LOG_LEVEL="DEBUG") as installation:
        yield Run(installation, until)


def test_a_requests_id_leads_from_the_front_end_through_the_workers_to_what_followed(run: Run) -> None:
    session_id = run.paid["paymentSession"]["id"]

    front = run.await_line("the front end's line", file="front", request_id=run.request_id)
    assert "POST /payments/checkout/create 201" in front["message"]
    assert front["session_id"] == session_id
    worker = run.await_line("the worker's line", request_id=run.request_id, actor="checkout.create", level="INFO")
    assert worker["operation_id"] == front["operation_id"]
    assert worker["role"] == "worker"
    assert worker["message_id"]
    assert worker["session_id"] == session_id
    assert worker["attempt_id"]
    run.await_line("a follow-up's line", file="worker-receipts", request_id=run.request_id, actor="analytics.track")


def test_a_sessions_id_leads_to_the_lines_of_every_process_that_had_to_do_with_it(run: Run) -> None:
    session_id = run.paid["paymentSession"]["id"]

    lines = run.lines(session_id=session_id)
    assert {"front", "worker-interactive", "worker-receipts"} <= {line["file"] for line in lines}
    settled = next(line for line in lines if line["message"].endswith("pending -> completed"))
    assert settled["event_id"].startswith("evt_")
    webhook = run.await_line("the webhook's line", file="front", event_id=settled["event_id"])
    assert webhook["request_id"] == settled["request_id"]


def test_a_tick_leads_from_the_scheduler_to_the_worker(run: Run) -> None:
    tick = run.await_line("a tick", file="scheduler", actor="sweeps.outbox")

    done = run.await_line("the sweep's line", file="worker-sweeps", message_id=tick["message_id"])
    assert done["request_id"] == tick["request_id"]


def test_an_error_has_the_ids_of_what_failed_and_where_it_happened(run: Run) -> None:
    event = run.await_line("the event's error", event_id=run.broken_event, level="ERROR")
    assert event["request_id"] == "the-webhook"
    assert "Traceback" in event["error"]
    message = run.await_line("the message's error", message_id=run.broken_message, level="ERROR")
    assert message["actor"] == "checkout.create"
    assert "Traceback" in message["error"]


def test_every_line_of_our_processes_is_json_with_time_level_role_and_process(run: Run) -> None:
    lines = run.lines()

    assert {line["role"] for line in lines} == {"front", "worker", "scheduler"}
    assert all({"time", "level", "logger", "message", "pid"} <= set(line) for line in lines)


def test_no_card_key_token_password_or_personal_data_is_in_any_log(run: Run) -> None:
    run.await_line("the event's error", event_id=run.broken_event, level="ERROR")
    run.await_line("the message's error", message_id=run.broken_message, level="ERROR")
    stack = run.installation.stack
    receipt = run.installation.status(run.paid)["receipt"]["id"]
    download = run.installation.call("GET", f"/payments/receipts/{receipt}/download", allow_redirects=False)
    receipt_link = download.headers["Location"]
    assert requests.get(receipt_link, timeout=30).status_code == 200
    secrets = {
        "card": PAYS,
        "declined card": DECLINES,
        "card, typed by mistake": TYPED_BY_MISTAKE,
        "the same without blanks": TYPED_BY_MISTAKE.replace(" ", ""),
        "e-mail address": EMAIL,
        "name": NAME,
        "service key": stack.service_key,
        "buyer's token": run.paid["payUrl"].partition("token=")[2],
        "signature of a link": receipt_link.partition("signature=")[2],
        "Stripe's key": stack.environment["STRIPE_SECRET_KEY"],
        "webhooks' secret": stack.environment["STRIPE_WEBHOOK_SECRET"],
        "tokens' secret": stack.environment["BUYER_TOKEN_SECRETS"],
        "links' secret": stack.environment["RECEIPT_URL_SECRET"],
        "database with its user": stack.environment["DATABASE_URL"],
    }
    assert all(secrets.values())

    logs = {path: path.read_text(errors="replace") for path in stack.folder.rglob("*.log")}
    assert {"front", "sandbox", "scheduler", "worker-interactive", "worker-receipts", "worker-sweeps"} <= {
        path.stem for path in logs
    }
    found = [
        (what, path.name, line)
        for path, text in logs.items()
        for line in text.splitlines()
        for what, secret in secrets.items()
        if secret in line
    ]
    assert found == []
