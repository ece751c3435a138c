"""What the front end reads: the newest state, never an older one over it, and for buyers no figures of the platform."""

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis

from paywindow import clock, ids, jsons, messages
from paywindow.actors import publish
from paywindow.actors.runtime import runtime
from paywindow.models import database as db
from paywindow.models import outbox
from paywindow.models.snapshots import snapshot
from paywindow.models.tables import Outbox, PaymentSession, Transaction
from paywindow.published import WAKE, reply_key, session_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


def taken(session: PaymentSession) -> Any:
    """The session's snapshot as it is now."""
    with db.transaction():
        return snapshot(PaymentSession.get_by_id(session.id), runtime().settings)


def test_an_older_snapshot_never_replaces_a_newer_one(shop: Shop) -> None:
    session = shop.open_session()
    old = taken(session)
    shop.cancel(session)

    runtime().publisher.session(session.id, old)

    assert shop.snapshot(session)["paymentSession"]["status"] == "canceled"
    assert int(shop.state.hget(session_key(session.id), "v")) > old.version


def test_every_order_of_publication_ends_with_the_newest(shop: Shop) -> None:
    session = shop.open_session()
    versions = [taken(session)]
    shop.pay(session)
    shop.deliver()
    versions.append(taken(session))

    for first, second in (versions, versions[::-1]):
        shop.state.flushdb()
        runtime().publisher.session(session.id, first)
        runtime().publisher.session(session.id, second)
        assert shop.snapshot(session)["paymentSession"]["status"] == "completed"


@pytest.mark.parametrize("by", ["a message", "the worker that commits"])
def test_who_read_before_a_change_and_writes_after_a_wipe_does_not_have_the_last_word(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    publisher, tell = runtime().publisher, runtime().publisher.session

    def frozen_meanwhile(identifier: uuid.UUID, found: Any) -> None:
        monkeypatch.setattr(publisher, "session", tell)
        with db.transaction():
            newer = PaymentSession.get_by_id(session.id).version + 1
            PaymentSession.change(session.id, version=newer, description="changed meanwhile")
        shop.run(messages.publish_session(session.id))
        shop.state.flushdb()
        tell(identifier, found)

    monkeypatch.setattr(publisher, "session", frozen_meanwhile)
    if by == "the worker that commits":
        monkeypatch.setattr(db, "_at_once", publish.at_once)
    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id=str(session.id))
    if by == "a message":
        shop.run(shop.take("publish.session"))

    assert int(shop.state.hget(session_key(session.id), "v")) == shop.session(session.id).version
    with db.transaction():
        assert not Outbox.read_all("WHERE actor = 'publish.session'"), "and it is done"


def test_what_is_newer_by_now_is_still_to_be_published_when_that_fails(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.open_session()
    publisher, tell = runtime().publisher, runtime().publisher.session

    def overtaken_and_then_away(identifier: uuid.UUID, found: Any) -> None:
        with db.transaction():
            PaymentSession.change(session.id, version=found.version + 1)
        tell(identifier, found)
        monkeypatch.setattr(publisher, "session", lambda *_: (_ for _ in ()).throw(redis.ConnectionError("away")))

    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id=str(session.id))
    message = shop.take("publish.session")
    with monkeypatch.context() as away:
        away.setattr(publisher, "session", overtaken_and_then_away)
        with pytest.raises(redis.ConnectionError):
            shop.run(message)
        assert int(shop.state.hget(session_key(session.id), "v")) < shop.session(session.id).version

    shop.pass_time(seconds=16)
    shop.sweep()

    assert int(shop.state.hget(session_key(session.id), "v")) == shop.session(session.id).version


def test_an_equal_version_wakes_whoever_missed_it(shop: Shop) -> None:
    session = shop.open_session()
    listener = shop.state.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(WAKE)
    listener.get_message(timeout=5)

    shop.run(messages.publish_session(session.id))

    heard = listener.get_message(timeout=5)
    listener.close()
    assert heard is not None
    assert heard["data"].decode() == session_key(session.id)


def test_the_buyers_face_has_no_figures_of_the_platform(shop: Shop) -> None:
    session = shop.open_session(platform_fee_minor=1500)
    shop.pay(session)
    shop.deliver()
    with db.transaction():
        Transaction.update(stripe_fee_minor=829, stripe_fee_currency="USD").execute()
    shop.state.flushdb()
    shop.run(messages.publish_session(session.id))

    service, buyer = shop.snapshot(session, "service"), shop.snapshot(session, "buyer")
    fees, dispute = service["transaction"].pop("fees"), service["transaction"].pop("dispute")
    known = {name: str(value) for name, value in fees.items() if value}
    assert known == {"stripeFee": "8.29", "stripeFeeCurrency": "USD", "platformFee": "15.00"}
    assert dispute is None
    assert buyer["transaction"] == service["transaction"]
    assert "fee" not in jsons.dumps(buyer).lower()


def test_from_the_deadline_on_the_page_is_not_offered_any_more(shop: Shop) -> None:
    session = shop.open_session()
    raw = shop.state.hgetall(session_key(session.id))

    for face in ("service", "buyer"):
        now, closing = (shop.snapshot(session, f"{face}{suffix}")["paymentSession"] for suffix in ("", "_closing"))
        assert (now["closing"], closing["closing"]) == (False, True)
        assert now["stripeCheckoutUrl"].startswith("http")
        assert closing["stripeCheckoutUrl"] is None
    assert int(raw[b"closes_ms"]) == int(raw[b"expires_ms"]) == int(session.expires_at.timestamp() * 1000)


@pytest.mark.parametrize("end", ["paid", "canceled"])
def test_a_session_that_is_over_has_no_closing_face(shop: Shop, end: str) -> None:
    session = shop.open_session()
    if end == "paid":
        shop.pay(session)
        shop.deliver()
    else:
        shop.cancel(session)

    raw = shop.state.hgetall(session_key(session.id))

    assert (int(raw[b"closes_ms"]), raw[b"service_closing"], raw[b"buyer_closing"]) == (0, b"", b"")


def test_an_unknown_session_is_remembered_briefly_and_gives_way_to_a_real_one(shop: Shop) -> None:
    session = shop.open_session()
    unknown = uuid.uuid4()
    shop.run(messages.publish_session(unknown))
    assert shop.state.hget(session_key(unknown), "missing") == b"1"
    assert 0 < shop.state.ttl(session_key(unknown)) <= 30

    shop.state.flushdb()
    runtime().publisher.unknown_session(session.id)
    shop.run(messages.publish_session(session.id))

    assert shop.snapshot(session)["paymentSession"]["id"] == str(session.id)
    assert shop.state.hget(session_key(session.id), "missing") is None


def test_money_is_published_as_exact_decimals(shop: Shop) -> None:
    session = shop.open_session(amount_minor=27550)

    assert b'"amount":275.50' in shop.state.hget(session_key(session.id), "service")


def test_an_operation_can_be_found_by_its_client_only(shop: Shop) -> None:
    shop.create(key="order-1")
    found = {}
    for client in ("shop", "office"):
        reply = uuid.uuid4()
        shop.run(messages.find_operation(reply, ids.operation_id("shop", "order-1"), client))
        found[client] = jsons.loads(shop.state.get(reply_key(reply)))["status"]

    assert found == {"shop": 201, "office": 404}


def test_the_worker_that_commits_publishes_without_a_message(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_at_once", publish.at_once)
    session = shop.open_session()

    shop.pay(session)
    (event,) = [each for each in shop.events() if each["type"] == "checkout.session.completed"]
    shop.deliver_event(event)
    shop.run(shop.take("events.receive"))

    assert shop.snapshot(session)["paymentSession"]["status"] == "completed"
    assert not [message for message in shop.queue.messages if message.actor_name.startswith("publish.")]
    with db.transaction():
        assert not Outbox.read_all("WHERE actor LIKE 'publish.%%'"), "its row is gone, too"


@pytest.mark.parametrize("fails", ["session", "outcome", "done_if_published"])
def test_what_could_not_be_done_at_once_is_left_to_a_message(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    session = shop.open_session()
    monkeypatch.setattr(db, "_at_once", publish.at_once)
    owner = outbox if fails == "done_if_published" else runtime().publisher
    works = getattr(owner, fails)

    def fails_once(*_: Any) -> None:
        monkeypatch.setattr(owner, fails, works)
        raise redis.ConnectionError("away")

    monkeypatch.setattr(owner, fails, fails_once)

    assert shop.cancel(session)["status"] == 200

    assert "follow-up left to a message" in caplog.text
    assert shop.snapshot(session)["paymentSession"]["status"] == "canceled"
    with db.transaction():
        assert not Outbox.read_all("WHERE actor LIKE 'publish.%%'"), "no sweep was needed"


def test_who_has_the_answer_to_a_command_can_read_what_it_did(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    publisher = type(runtime().publisher)
    for name in ("session", "outcome"):
        told = getattr(publisher, name)
        monkeypatch.setattr(
            publisher, name, lambda *given, told=told, name=name: (published.append(name), told(*given))
        )
    monkeypatch.setattr(db, "_at_once", publish.at_once)

    shop.open_session()

    assert published == ["session", "outcome"]
