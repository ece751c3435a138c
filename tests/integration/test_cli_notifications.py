"""``paywindow notifications``: an operator finds what did not come to its receiver, and sends it again."""

import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from support.receivers import Receiver

from paywindow import ids, messages
from paywindow.models.tables import Notification, NotificationDelivery, Operation
from paywindow.notify import signatures
from paywindow.published import operation_key

if TYPE_CHECKING:
    from conftest import Shop, Workers
else:
    Shop = Workers = Any

Run = Callable[..., Any]


@pytest.fixture
def run(paywindow: Run) -> Run:
    """Run ``paywindow notifications ...``."""
    return partial(paywindow, "notifications")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def told(make_shop: Callable[..., Shop], receiver: Receiver) -> Shop:
    return make_shop(NOTIFY_URLS=receiver.url, NOTIFY_WEBHOOK_SECRETS=signatures.new_secret())


def as_json(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def listed(result: Any) -> list[str]:
    return [each["type"] for each in as_json(result)["notifications"]]


def test_the_list_is_newest_first_by_state_type_session_and_sink(told: Shop, receiver: Receiver, run: Run) -> None:
    session = told.open_session()
    told.cancel(session)
    receiver.answer = lambda delivery: (410, {})
    told.pay(told.open_session())
    told.tell("checkout.session.completed")
    told.deaf_to = {"notifications.send"}
    told.cancel(told.open_session())

    everything = listed(run("list", "--json"))
    newest_first = sorted(told.rows(Notification), key=lambda row: (row.created_at, row.id), reverse=True)
    assert everything == [row.type for row in newest_first]
    first = as_json(run("list", "--limit", 2, "--json"))
    rest = run("list", "--limit", 100, "--cursor", first["nextCursor"], "--json")
    assert [each["type"] for each in first["notifications"]] + listed(rest) == everything

    assert set(listed(run("list", "--state", "dead", "--json"))) == {"payment.completed", "receipt.issued"}
    assert set(listed(run("list", "--state", "waiting", "--json"))) == {"payment.canceled", "auction.released"}
    assert set(listed(run("list", "--session", session.id, "--state", "delivered", "--json"))) == {
        "payment.canceled",
        "auction.released",
    }
    assert listed(run("list", "--type", "receipt.issued", "--sink", receiver.url, "--json")) == ["receipt.issued"]
    assert listed(run("list", "--sink", "https://elsewhere.example", "--json")) == []
    assert listed(run("list", "--state", "unsent", "--json")) == []
    assert "There are no such notifications." in run("list", "--since", "2199-01-01").output
    assert "answered 410 Gone" in run("list", "--state", "dead").output
    assert run("list", "--cursor", "nonsense").exit_code == 2


def test_show_tells_how_each_sink_fared_and_the_body(told: Shop, receiver: Receiver, run: Run) -> None:
    receiver.answer = lambda delivery: (500, {})
    told.cancel(told.open_session())
    row = told.rows(Notification)[0]

    report = as_json(run("show", row.id, "--json"))

    assert report["state"] == "waiting"
    (way,) = report["deliveries"]
    assert (way["sink"], way["failedTries"], way["error"]) == (receiver.url, 1, "answered 500")
    assert report["body"] == json.loads(row.payload)
    assert "answered 500" in run("show", row.id).output
    assert run("show", "00000000-0000-4000-8000-000000000000").exit_code == 1


def test_what_nobody_was_told_is_shown_as_unsent(shop: Shop, run: Run) -> None:
    shop.cancel(shop.open_session())

    assert set(listed(run("list", "--state", "unsent", "--json"))) == {"payment.canceled", "auction.released"}
    assert "None: no sink was configured." in run("show", shop.rows(Notification)[0].id).output


def test_the_backlog_shows_what_a_receiver_has_not_taken_for_an_hour(
    told: Shop, receiver: Receiver, paywindow: Run
) -> None:
    receiver.answer = lambda delivery: (500, {})
    told.cancel(told.open_session())
    assert paywindow("backlog", "notifications").exit_code == 0

    told.pass_time(minutes=61)

    shown = paywindow("backlog", "notifications")
    assert shown.exit_code == 1
    assert f"to {receiver.url}" in shown.output


def test_a_replay_is_an_operation_of_the_operator_and_sends_again(
    shop: Shop, workers: Workers, receiver: Receiver, run: Run
) -> None:
    shop.change_settings(notify_urls=(receiver.url,), notify_webhook_secrets=(SecretStr(signatures.new_secret()),))
    receiver.answer = lambda delivery: (410, {})
    operation = ids.operation_id("shop", "order-1")
    shop.queue.enqueue(shop.create_message(shop.request(), key="order-1"))
    workers.until(lambda: shop.state.get(operation_key(operation)))
    session = shop.outcome(operation)["body"]["paymentSession"]["id"]
    request = {"session_id": session, "reason": "unsold after all"}
    fingerprint = ids.fingerprint("checkout.cancel", request)
    shop.queue.enqueue(messages.command("checkout.cancel", uuid.uuid4(), "shop", fingerprint, request))
    workers.until(lambda: [each.dead_at is not None for each in shop.rows(NotificationDelivery)] == [True, True])
    row = shop.rows(Notification)[0]
    receiver.answer = lambda delivery: (204, {})

    result = run("replay", row.id, "--reason", "the receiver is back")

    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"{row.id} is sent again to {receiver.url}"
    workers.until(lambda: shop.rows(Notification, Notification.id == row.id)[0].delivered_at)
    assert [each.headers["webhook-id"] for each in receiver.came].count(str(row.id)) == 2
    (kept,) = shop.rows(Operation, Operation.kind == "notifications.replay")
    assert kept.client.startswith("cli:")
    assert json.loads(kept.request)["reason"] == "the receiver is back"
    assert run("replay", uuid.uuid4(), "--reason", "never was").exit_code == 1
    assert run("replay", row.id, "--reason", "elsewhere", "--sink", "https://elsewhere.example").exit_code == 1
