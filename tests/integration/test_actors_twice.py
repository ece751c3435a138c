"""Every actor run twice leaves the same rows and the same objects at Stripe.

Each case brings a shop to the point where the actor's message would be in the queue, and returns that message. A new actor
without a case fails here.
"""

import json
import socket
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Message
from pydantic import SecretStr

from paywindow import clock, ids, messages
from paywindow.errors import StripeUnavailable
from paywindow.messages import ACTORS, build
from paywindow.models import database
from paywindow.models.tables import CheckoutAttempt, PaymentMethod, PaymentSession, Receipt, Refund, Transaction
from paywindow.notify import signatures

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

Case = Callable[[Shop], Message[Any]]
CASES: dict[str, Case] = {}


def case(actor: str) -> Callable[[Case], Case]:
    """Say how to get a message of the actor."""

    def register(make: Case) -> Case:
        CASES[actor] = make
        return make

    return register


@case("checkout.create")
def _create(shop: Shop) -> Message[Any]:
    return shop.create_message(shop.request(), key="order-1")


@case("checkout.open")
def _open(shop: Shop) -> Message[Any]:
    shop.fault("500", times=2, path_prefix="/v1/checkout/sessions")
    with pytest.raises(Exception, match="error"):
        shop.run(shop.create_message(shop.request()))
    (attempt,) = shop.rows(CheckoutAttempt)
    return build("checkout.open", attempt_id=str(attempt.id))


@case("checkout.cancel")
def _cancel(shop: Shop) -> Message[Any]:
    return _command("checkout.cancel", shop.open_session())


@case("checkout.close_page")
def _close_page(shop: Shop) -> Message[Any]:
    return build("checkout.close_page", attempt_id=str(shop.attempt(shop.open_session()).id))


@case("payment.retry")
def _retry(shop: Shop) -> Message[Any]:
    return _command("payment.retry", _declined(shop))


@case("payment.grant_retry")
def _grant(shop: Shop) -> Message[Any]:
    return _command("payment.grant_retry", _declined(shop))


@case("payment.refund")
def _refund(shop: Shop) -> Message[Any]:
    return _command("payment.refund", _paid(shop), transaction_id=None, amount="100", release_auction=False)


@case("refunds.make")
def _make_refund(shop: Shop) -> Message[Any]:
    message = _refund(shop)
    shop.fault("refuse_connection", times=2, path_prefix="/v1/refunds")
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.mend()
    return build("refunds.make", refund_id=str(shop.rows(Refund)[0].id))


@case("payment.resolve")
def _resolve(shop: Shop) -> Message[Any]:
    session = shop.open_session(window_minutes=5, late_policy="hold")
    shop.pass_time(minutes=6)
    shop.pay(session)
    shop.deliver()
    return _command("payment.resolve", session, decision="refund")


@case("payment.take_back")
def _take_back(shop: Shop) -> Message[Any]:
    session = shop.open_session()
    shop.pay(session)
    with database.transaction():
        PaymentSession.update(status="expired", released_at=clock.now()).where(
            PaymentSession.id == session.id
        ).execute()
    shop.open_session(auction_id=str(session.auction_id))
    shop.run(messages.receive_event(json.dumps(shop.event("checkout.session.completed")), clock.now()))
    return shop.take("payment.take_back")


@case("window.expire")
def _expire(shop: Shop) -> Message[Any]:
    return _command("window.expire", shop.open_session())


@case("window.extend")
def _extend(shop: Shop) -> Message[Any]:
    return _command("window.extend", shop.open_session(), minutes=60, until=None)


@case("window.reopen")
def _reopen(shop: Shop) -> Message[Any]:
    return _command("window.reopen", _overdue(shop, close=True), minutes=60, until=None)


@case("window.due")
def _due(shop: Shop) -> Message[Any]:
    return build("window.due", session_id=str(_overdue(shop).id))


@case("sweeps.measure")
def _measure(shop: Shop) -> Message[Any]:
    shop.open_session()
    return build("sweeps.measure")


@case("sweeps.card_numbers")
def _card_numbers(shop: Shop) -> Message[Any]:
    shop.open_session()
    return build("sweeps.card_numbers")


@case("sweeps.synthetic_purchase")
def _synthetic(shop: Shop) -> Message[Any]:
    shop.change_settings(synthetic_purchase_seconds=600)
    # Begun long ago, so that it is looked at once: no webhooks are delivered here, and it would go on looking.
    return build("sweeps.synthetic_purchase", number=1, began_at=(clock.now() - timedelta(minutes=2)).isoformat())


@case("operations.find")
def _find(shop: Shop) -> Message[Any]:
    shop.create(key="order-1")
    return messages.find_operation(uuid.uuid4(), ids.operation_id("shop", "order-1"), "shop")


@case("sessions.find")
def _find_sessions(shop: Shop) -> Message[Any]:
    shop.open_session()
    return messages.find_sessions(uuid.uuid4(), {"limit": 20})


@case("events.receive")
def _receive(shop: Shop) -> Message[Any]:
    shop.pay(shop.open_session())
    return messages.receive_event(json.dumps(shop.event("checkout.session.completed")), clock.now())


@case("events.handle")
def _handle(shop: Shop) -> Message[Any]:
    event = json.loads(_receive(shop).kwargs["body"])
    shop.deliver_event(event, times=1)
    shop.run(shop.queue.messages.popleft())
    return build("events.handle", event_id=event["id"])


@case("disputes.read")
def _read_dispute(shop: Shop) -> Message[Any]:
    shop.pay(shop.open_session(), card="4000000000000259")
    shop.deliver(work=False)
    while not any(message.actor_name == "disputes.read" for message in shop.queue.messages):
        shop.run(shop.queue.messages.popleft())
    return shop.take("disputes.read")


@case("methods.list")
def _list_methods(shop: Shop) -> Message[Any]:
    return messages.list_methods(uuid.uuid4(), _saved(shop).buyer_id)


@case("methods.detach")
def _detach_method(shop: Shop) -> Message[Any]:
    kept = _saved(shop)
    request = {"method_id": str(kept.id), "buyer_id": str(kept.buyer_id)}
    fingerprint = ids.fingerprint("methods.detach", request)
    return messages.detach_method(ids.operation_id("shop", "detach-1"), "shop", fingerprint, request)


@case("methods.refresh")
def _refresh_methods(shop: Shop) -> Message[Any]:
    kept = _saved(shop)
    shop.control(f"methods/{kept.stripe_payment_method_id}/renew", month=2, year=2046)
    return build("methods.refresh", customer_id=str(kept.customer_id))


@case("events.replay")
def _replay(shop: Shop) -> Message[Any]:
    event_id = _handle(shop).kwargs["event_id"]
    request = {"event_id": event_id, "reason": "because"}
    return messages.command(
        "events.replay", uuid.uuid4(), "cli:anna", ids.fingerprint("events.replay", request), request
    )


@case("publish.session")
def _publish_session(shop: Shop) -> Message[Any]:
    return messages.publish_session(shop.open_session().id)


@case("publish.operation")
def _publish_operation(shop: Shop) -> Message[Any]:
    shop.run(shop.create_message(shop.request()))
    return shop.take("publish.operation")


@case("notifications.deliver")
def _deliver(shop: Shop) -> Message[Any]:
    return _queued(shop, "notifications.deliver")


@case("notifications.send")
def _send(shop: Shop) -> Message[Any]:
    _tell_nobody_there(shop)
    shop.run(_queued(shop, "notifications.deliver"))
    return shop.take("notifications.send")


@case("notifications.replay")
def _replay_notification(shop: Shop) -> Message[Any]:
    told = _queued(shop, "notifications.deliver").kwargs["notification_id"]
    _tell_nobody_there(shop)
    request = {"notification_id": told, "sink": None, "reason": "because"}
    fingerprint = ids.fingerprint("notifications.replay", request)
    return messages.command("notifications.replay", uuid.uuid4(), "cli:anna", fingerprint, request)


@case("sweeps.notifications")
def _sweep_notifications(shop: Shop) -> Message[Any]:
    shop.run(_send(shop))
    shop.pass_time(minutes=1)
    return build("sweeps.notifications")


@case("analytics.track")
def _track(shop: Shop) -> Message[Any]:
    return _queued(shop, "analytics.track")


@case("receipts.issue")
def _issue(shop: Shop) -> Message[Any]:
    return _queued(shop, "receipts.issue")


@case("receipts.issue_statement")
def _issue_statement(shop: Shop) -> Message[Any]:
    shop.run(_queued(shop, "receipts.issue", maker_id=str(uuid.uuid4())))
    return shop.take("receipts.issue_statement")


@case("receipts.issue_credit_note")
def _issue_credit_note(shop: Shop) -> Message[Any]:
    shop.run(_queued(shop, "receipts.issue"))
    (paid,) = shop.rows(Transaction)
    with database.transaction():
        refund = Refund.create(
            id=uuid.uuid4(),
            transaction=paid,
            stripe_refund_id="re_1",
            amount_minor=100,
            currency=paid.currency,
            status="succeeded",
            created_at=clock.now(),
            updated_at=clock.now(),
        )
    return build("receipts.issue_credit_note", refund_id=str(refund.id))


@case("receipts.render")
def _render(shop: Shop) -> Message[Any]:
    shop.run(_queued(shop, "receipts.issue"))
    return shop.take("receipts.render")


@case("receipts.locate")
def _locate(shop: Shop) -> Message[Any]:
    shop.run(_queued(shop, "receipts.issue"))
    (receipt,) = shop.rows(Receipt)
    return messages.locate_receipt(uuid.uuid4(), receipt.id, None)


@case("sellers.link")
def _link(shop: Shop) -> Message[Any]:
    request = {
        "maker_id": str(uuid.uuid4()),
        "return_url": "https://shop.example",
        "refresh_url": "https://shop.example",
    }
    return messages.link_seller(uuid.uuid4(), "shop", ids.fingerprint("sellers.link", request), request)


@case("sellers.find")
def _find_seller(shop: Shop) -> Message[Any]:
    return messages.find_seller(uuid.uuid4(), uuid.UUID(_seller(shop)))


@case("sellers.refresh")
def _refresh(shop: Shop) -> Message[Any]:
    return build("sellers.refresh", maker_id=_seller(shop))


@case("sellers.settle_up")
def _settle_up(shop: Shop) -> Message[Any]:
    return build("sellers.settle_up", transaction_id=str(_collected(shop).id))


@case("figures.read")
def _figures(shop: Shop) -> Message[Any]:
    paid = _collected(shop)
    shop.control("fees/release")
    return build("figures.read", transaction_id=str(paid.id))


@case("sweeps.sellers")
def _sweep_sellers(shop: Shop) -> Message[Any]:
    _collected(shop)
    return build("sweeps.sellers")


@case("sweeps.outbox")
def _sweep_outbox(shop: Shop) -> Message[Any]:
    _queued(shop, "publish.session")
    shop.pass_time(minutes=1)
    return build("sweeps.outbox")


@case("sweeps.inbox")
def _sweep_inbox(shop: Shop) -> Message[Any]:
    shop.pay(shop.open_session())
    shop.tell("charge.succeeded")
    shop.pass_time(minutes=1)
    return build("sweeps.inbox")


@case("sweeps.attempts")
def _sweep_attempts(shop: Shop) -> Message[Any]:
    _open(shop)
    shop.pass_time(minutes=1)
    return build("sweeps.attempts")


@case("sweeps.operations")
def _sweep_operations(shop: Shop) -> Message[Any]:
    message = _cancel(shop)
    shop.fault("refuse_connection", times=3)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.pass_time(minutes=1)
    return build("sweeps.operations")


@case("sweeps.refunds")
def _sweep_refunds(shop: Shop) -> Message[Any]:
    _make_refund(shop)
    shop.pass_time(minutes=1)
    return build("sweeps.refunds")


@case("sweeps.windows")
def _sweep_windows(shop: Shop) -> Message[Any]:
    _overdue(shop)
    return build("sweeps.windows")


@case("sweeps.window_mirror")
def _sweep_window_mirror(shop: Shop) -> Message[Any]:
    shop.open_session()
    return build("sweeps.window_mirror")


@case("sweeps.stripe_events")
def _sweep_stripe_events(shop: Shop) -> Message[Any]:
    shop.pay(shop.open_session())
    shop.pass_time(minutes=2)
    return build("sweeps.stripe_events")


@case("sweeps.reconciliation")
def _sweep_reconciliation(shop: Shop) -> Message[Any]:
    shop.pay(shop.open_session())
    shop.pass_time(minutes=5)
    return build("sweeps.reconciliation")


def _tell_nobody_there(shop: Shop) -> None:
    """Configure a receiver that does not answer: its port is closed."""
    secret = SecretStr(signatures.new_secret())
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/hooks"
    shop.change_settings(notify_urls=(url,), notify_webhook_secrets=(secret,))


def _seller(shop: Shop) -> str:
    """A maker who has just become able to take charges, which nobody has read yet."""
    message = _link(shop)
    shop.run(message)
    shop.work()
    shop.control(f"accounts/{shop.ledger()['accounts'][0]['id']}/onboard")
    return str(message.kwargs["request"]["maker_id"])


def _collected(shop: Shop) -> Transaction:
    """A payment whose maker became ready after it, and is due the share."""
    maker = _seller(shop)
    session = shop.open_session(maker_id=maker, platform_fee_minor=2755)
    shop.pay(session)
    with database.transaction():
        PaymentSession.update(split="collect").where(PaymentSession.id == session.id).execute()
    shop.deaf_to = {"sellers.settle_up"}
    shop.deliver()
    shop.deaf_to = set()
    (paid,) = shop.transactions(session)
    return paid


def _command(actor: str, session: PaymentSession, **more: Any) -> Message[Any]:
    request = {"session_id": str(session.id), "reason": "because", **more}
    return messages.command(actor, uuid.uuid4(), "shop", ids.fingerprint(actor, request), request)


def _paid(shop: Shop) -> PaymentSession:
    session = shop.open_session()
    shop.pay(session)
    shop.tell("checkout.session.completed")
    return session


def _declined(shop: Shop) -> PaymentSession:
    session = shop.open_session()
    shop.pay(session, card="4000000000000002")
    shop.deliver()
    return session


def _saved(shop: Shop) -> PaymentMethod:
    """A card that a buyer kept while paying."""
    shop.allow_saving()
    shop.pay(shop.open_session(), save=True)
    shop.deliver()
    (kept,) = shop.rows(PaymentMethod)
    found: PaymentMethod = kept
    return found


def _overdue(shop: Shop, *, close: bool = False) -> PaymentSession:
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    if close:
        shop.sweep()
    return session


def _queued(shop: Shop, actor: str, **changes: Any) -> Message[Any]:
    """A follow-up of a payment, just as it lies in the queue."""
    session = shop.open_session(**changes)
    shop.pay(session)
    shop.run(messages.receive_event(json.dumps(shop.event("checkout.session.completed")), clock.now()))
    return shop.take(actor)


def test_every_actor_has_a_case() -> None:
    assert set(CASES) == set(ACTORS)


@pytest.mark.parametrize("actor", sorted(ACTORS))
def test_an_actor_run_twice_leaves_what_one_run_leaves(shop: Shop, actor: str) -> None:
    message = CASES[actor](shop)

    shop.run(message)
    once = shop.fingerprint()
    shop.run(message)

    # A second publication of an outcome is the one thing that a repeated command may ask for.
    again = shop.fingerprint()
    assert _without_republication(again) == _without_republication(once)


@pytest.mark.parametrize("actor", sorted(ACTORS))
def test_an_actor_run_twice_at_the_same_moment_leaves_what_one_run_leaves(shop: Shop, actor: str) -> None:
    message = CASES[actor](shop)
    shop.together(message, message)
    shop.work()

    shop.pass_time(minutes=2)
    shop.sweep()
    after = shop.fingerprint()
    assert after["Outbox"] == []
    assert len([page for page in after["stripe"]["sessions"] if page["status"] == "open"]) <= 1
    assert len({row["kind"] for row in after["Receipt"]}) == len(after["Receipt"])
    assert len([row for row in after["Transaction"] if row["settled_at"]]) <= 1


def _without_republication(rows: dict[str, Any]) -> dict[str, Any]:
    return {**rows, "Outbox": [row for row in rows["Outbox"] if row["actor"] != "publish.operation"]}
