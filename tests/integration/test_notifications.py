"""Notifications reach their sinks: signed, again after a failure, independently of each other, and once more on request."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from standardwebhooks import Webhook
from support.receivers import Answer, Delivery, Receiver

from paywindow import clock
from paywindow.actors import notifications
from paywindow.messages import build
from paywindow.models import database as db
from paywindow.models import deliveries, measure, timeline
from paywindow.models.tables import Notification, NotificationDelivery
from paywindow.notify import signatures

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

SECRETS = [signatures.new_secret(), signatures.new_secret()]


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    both = Receiver(), Receiver()
    yield both
    for each in both:
        each.close()


@pytest.fixture
def receiver(receivers: tuple[Receiver, Receiver]) -> Receiver:
    return receivers[0]


@pytest.fixture
def told(make_shop: Callable[..., Shop], receiver: Receiver) -> Shop:
    """A shop that tells one receiver."""
    return make_shop(NOTIFY_URLS=f"{receiver.url}/hooks/", NOTIFY_WEBHOOK_SECRETS=",".join(SECRETS))


def rows(shop: Shop, *conditions: Any) -> list[NotificationDelivery]:
    return shop.rows(NotificationDelivery, *conditions)


def only(shop: Shop) -> NotificationDelivery:
    (row,) = rows(shop)
    return row


def one_notification(shop: Shop) -> Notification:
    """A notification whose deliveries nobody has tried yet."""
    session = shop.open_session()
    with_reason = {"session_id": str(session.id), "reason": "the buyer asked", "minutes": 60, "until": None}
    shop.deaf_to = {"notifications.send"}
    shop.command("window.extend", **with_reason)
    shop.deaf_to = set()
    (found,) = shop.rows(Notification)
    notification: Notification = found
    return notification


def answering(*statuses: int) -> Callable[[Delivery], Answer]:
    """Each status once, then the last for ever."""
    left = list(statuses)
    return lambda delivery: (left.pop(0) if len(left) > 1 else left[0], {})


def later(shop: Shop, **length: float) -> None:
    shop.pass_time(**length)
    shop.run(build("sweeps.notifications"))
    shop.work()


def tries(outcome: str, sink: str = "webhook") -> float:
    labels = {"sink": sink, "outcome": outcome}
    return REGISTRY.get_sample_value("payments_notification_tries_total", labels) or 0.0


def test_a_payment_is_told_in_full_and_every_secret_verifies_it(told: Shop, receiver: Receiver) -> None:
    session = told.open_session()
    told.pay(session)
    told.deliver()

    by_type = {json.loads(each.body)["type"]: each for each in receiver.came}
    assert set(by_type) == {"payment.completed", "receipt.issued"}
    paid = by_type["payment.completed"]
    assert paid.path == "/hooks/"
    assert paid.headers["content-type"] == "application/json"
    for secret in SECRETS:
        body = Webhook(secret).verify(paid.body, paid.headers)
        assert body["data"]["paymentSessionId"] == str(session.id)
        assert body["data"]["amount"] == 275.5
    row = next(row for row in told.rows(Notification) if row.type == "payment.completed")
    assert paid.headers["webhook-id"] == str(row.id)
    assert paid.body.decode() == row.payload
    assert row.delivered_at is not None
    assert all(each.delivered_at and not each.tries for each in rows(told))


def test_without_a_sink_nothing_is_due_and_the_notification_stays_readable(shop: Shop) -> None:
    shop.pay(shop.open_session())
    shop.deliver()

    assert rows(shop) == []
    assert [row.type for row in shop.rows(Notification)] == ["payment.completed", "receipt.issued"]
    assert shop.fingerprint()["Outbox"] == []


def test_a_failure_is_tried_again_under_the_same_id_until_it_works(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(500, 302, 200)
    notification = one_notification(told)
    before = tries("failed")

    later(told, minutes=3)
    waiting = only(told)
    assert (waiting.tries, waiting.last_error, waiting.delivered_at) == (1, "answered 500", None)

    later(told, seconds=6)
    waiting = only(told)
    assert (waiting.tries, waiting.last_error) == (2, "answered 302; redirects are not followed")
    assert waiting.next_try_at is not None
    assert timedelta(minutes=4.9) < waiting.next_try_at - clock.now() < timedelta(minutes=5.5)

    later(told, minutes=4)
    assert len(receiver.came) == 2

    later(told, minutes=2)
    assert only(told).delivered_at is not None
    assert {each.headers["webhook-id"] for each in receiver.came} == {str(notification.id)}
    assert len({each.body for each in receiver.came}) == 1
    assert tries("failed") == before + 2


def test_after_the_last_try_it_is_dead_and_counted(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(503)
    one_notification(told)
    before = tries("dead")

    for wait in (timedelta(minutes=2), *deliveries.SCHEDULE):
        later(told, seconds=wait.total_seconds() * 1.11)
    dead = only(told)
    later(told, days=30)

    assert len(receiver.came) == len(deliveries.SCHEDULE) + 1
    assert dead.dead_at is not None
    assert (dead.next_try_at, dead.last_error) == (None, "answered 503")
    assert tries("dead") == before + 1


def test_a_receiver_that_is_gone_is_not_told_again(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(410)
    one_notification(told)

    later(told, minutes=3)
    later(told, days=5)

    assert len(receiver.came) == 1
    assert only(told).last_error == "answered 410 Gone"
    assert only(told).dead_at is not None


def test_killed_between_the_answer_and_the_commit_it_is_sent_again_under_the_same_id(
    told: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_notification(told)

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(notifications, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            later(told, minutes=3)
    assert only(told).delivered_at is None
    told.wipe_queue()

    later(told, minutes=3)

    first, second = receiver.came
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert only(told).delivered_at is not None


def test_a_message_of_an_earlier_try_does_nothing(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(500)
    one_notification(told)
    later(told, minutes=3)
    row = only(told)

    told.run(build("notifications.send", delivery_id=row.id, tries=0))

    assert len(receiver.came) == 1
    assert only(told).tries == 1


def test_a_sink_that_fails_neither_delays_nor_repeats_another(
    make_shop: Callable[..., Shop], receivers: tuple[Receiver, Receiver]
) -> None:
    good, bad = receivers
    bad.answer = answering(500, 500, 200)
    urls = f"{bad.url}/a,{good.url}/b"
    shop = make_shop(NOTIFY_URLS=urls, NOTIFY_WEBHOOK_SECRETS=SECRETS[0])
    one_notification(shop)

    later(shop, minutes=3)
    later(shop, seconds=6)
    assert (len(good.came), len(bad.came)) == (1, 2)
    assert shop.rows(Notification)[0].delivered_at is None

    later(shop, minutes=6)
    assert (len(good.came), len(bad.came)) == (1, 3)
    assert shop.rows(Notification)[0].delivered_at is not None


def test_a_sink_that_hangs_keeps_no_more_than_its_lanes_busy(
    told: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_notification(told)
    row = only(told)
    monkeypatch.setattr(notifications._LANES, "_width", 0)

    told.run(build("notifications.send", delivery_id=row.id, tries=0))

    assert receiver.came == []
    after = only(told)
    assert (after.tries, after.delivered_at) == (0, None)
    assert after.next_try_at is not None
    assert after.next_try_at <= clock.now() + notifications.BUSY_WAIT


def test_a_sink_that_is_no_longer_configured_counts_its_tries_and_dies(told: Shop, receiver: Receiver) -> None:
    one_notification(told)
    told.change_settings(notify_urls=())

    later(told, minutes=3)

    assert receiver.came == []
    assert (only(told).tries, only(told).last_error) == (1, "this sink is not configured")


def replay(shop: Shop, notification_id: Any, sink: str | None = None) -> dict[str, Any]:
    return shop.command(
        "notifications.replay", notification_id=str(notification_id), sink=sink, reason="the receiver is back"
    )


def test_a_dead_notification_is_replayed_under_its_id(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(410)
    notification = one_notification(told)
    later(told, minutes=3)
    receiver.answer = answering(200)

    outcome = replay(told, notification.id)

    assert outcome["status"] == 200
    assert [way["state"] for way in outcome["body"]["notification"]["deliveries"]] == ["waiting"]
    assert [each.headers["webhook-id"] for each in receiver.came] == [str(notification.id)] * 2
    after = only(told)
    assert (after.tries, after.dead_at, after.last_error) == (0, None, None)
    assert after.delivered_at is not None


def test_what_was_told_nobody_is_replayed_to_a_receiver_that_was_configured_since(
    told: Shop, receiver: Receiver
) -> None:
    told.change_settings(notify_urls=())
    notification = one_notification(told)
    assert replay(told, notification.id)["status"] == 404
    told.change_settings(notify_urls=(receiver.url,))

    assert replay(told, notification.id, "https://elsewhere.example")["status"] == 404
    assert replay(told, uuid.uuid4())["status"] == 404
    assert receiver.came == []

    assert replay(told, notification.id, receiver.url)["status"] == 200
    assert len(receiver.came) == 1


def test_a_session_s_timeline_says_how_far_each_notification_got(told: Shop, receiver: Receiver) -> None:
    receiver.answer = answering(410)
    notification = one_notification(told)

    def said() -> list[str]:
        with db.transaction():
            entries = timeline.timeline(notification.session_id)
        return [entry["text"] for entry in entries if entry["what"] == "notice"]

    assert said() == ["window.extended, not delivered yet"]
    later(told, minutes=3)
    assert said() == ["window.extended, given up at a receiver"]
    receiver.answer = answering(200)
    replay(told, notification.id)
    assert said() == ["window.extended, delivered"]


def test_what_is_due_waits_or_died_is_found_by_indexes_of_unfinished_rows(told: Shop, receiver: Receiver) -> None:
    notification = one_notification(told)
    at = clock.now()
    many = """
        INSERT INTO notification_deliveries (notification_id, sink, delivered_at, created_at)
        SELECT %s, n::text, %s, %s FROM generate_series(1, 20000) AS n"""
    due = "SELECT id FROM notification_deliveries WHERE next_try_at <= %(now)s ORDER BY next_try_at LIMIT %(limit)s"
    queries = {
        "notification_deliveries_due": due,
        "notification_deliveries_waiting": measure.PENDING["notifications"],
        "notification_deliveries_dead": measure.PENDING["notifications_dead"],
    }
    with db.transaction():
        db.database.execute_sql(many, (notification.id, at, at))
        db.database.execute_sql("ANALYZE notification_deliveries")
        for index, query in queries.items():
            rows = db.database.execute_sql(f"EXPLAIN {query}", {"now": at, "limit": 500}).fetchall()
            assert index in "\n".join(row[0] for row in rows), index
