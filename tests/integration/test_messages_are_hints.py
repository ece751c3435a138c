"""A message is a hint, the row is the truth: on a real broker, with real workers, whatever happens to the messages."""

import json
import random
from typing import Any

import pytest
from dramatiq import Message

from paywindow import ids, messages
from paywindow.embedded import EmbeddedRedis
from paywindow.models import database as db
from paywindow.models.tables import Operation, Outbox, PaymentSession, Receipt

DECLINED = "4000000000000002"


class Mail:
    """What lies between the actors and the broker: it keeps a copy of each message, and may lose or double them."""

    def __init__(self, broker: Any, chance: random.Random):
        self._broker = broker
        self._chance = chance
        self.sent: list[Message[Any]] = []
        self.copies = 1

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> None:
        """Send the copies, each but the first a little later, so that they overtake others."""
        self.sent.append(message)
        for number in range(self.copies):
            late = self._chance.randrange(80) if number else 0
            self._broker.enqueue(Message.decode(message.encode()), delay=(delay or 0) + late or None)

    def repeat_everything(self) -> None:
        """Send everything that was ever sent once more, in any order."""
        for message in self._chance.sample(self.sent, len(self.sent)):
            self._broker.enqueue(Message.decode(message.encode()))


@pytest.fixture
def mail(shop, workers, monkeypatch):
    mail = Mail(workers.broker, random.Random(12))
    shop.queue = mail
    monkeypatch.setattr(db, "_send", mail.enqueue)
    return mail


def create(shop, workers):
    message = shop.create_message(shop.request())
    shop.queue.enqueue(message)
    workers.until(lambda: finished(shop, message))
    [session] = shop.rows(PaymentSession)
    return session


def click(shop, session):
    request = {"session_id": str(session.id), "reason": None}
    kind = "payment.retry"
    message = messages.command(
        kind, ids.operation_id("buyer:b", None), "buyer:b", ids.fingerprint(kind, request), request
    )
    shop.queue.enqueue(message)
    return message


def finished(shop, message):
    return shop.rows(Operation, Operation.id == message.kwargs["operation_id"], Operation.outcome.is_null(False))


def decline(shop, workers, session):
    shop.pay(session, DECLINED)
    shop.deliver(work=False)
    workers.until(lambda: shop.session(session.id).status == "failed")
    workers.until_idle()


def pay(shop, workers, session):
    shop.pay(session)
    shop.deliver(work=False, shuffled_by=random.Random(3))
    workers.until(lambda: shop.session(session.id).status == "completed")


def is_a_purchase_after_one_retry(shop, session):
    session = shop.session(session.id)
    assert (session.status, session.retry_count, session.attempt_number) == ("completed", 1, 2)
    assert [row.status for row in shop.transactions(session)] == ["failed", "succeeded"]
    assert [page["status"] for page in shop.ledger()["sessions"]] == ["expired", "complete"]
    assert [row.event for row in shop.transitions(session)].count("retried") == 1
    told = shop.notifications(session)
    assert (told.count("payment.failed"), told.count("payment.completed")) == (1, 1)
    assert len(shop.rows(Receipt)) == 1
    assert shop.snapshot(session)["paymentSession"]["version"] == session.version


def test_each_message_twice_and_out_of_order_is_each_message_once(shop, workers, mail):
    mail.copies = 2
    session = create(shop, workers)
    decline(shop, workers, session)
    answered = click(shop, session)
    workers.until(lambda: finished(shop, answered))
    workers.until_idle()
    pay(shop, workers, session)
    workers.until_idle()

    is_a_purchase_after_one_retry(shop, session)


def test_everything_that_was_ever_sent_may_come_again_in_any_order(shop, workers, mail):
    session = create(shop, workers)
    decline(shop, workers, session)
    answered = click(shop, session)
    workers.until(lambda: finished(shop, answered))
    workers.until_idle()
    pay(shop, workers, session)
    workers.until_idle()
    # An event that came before its time, and missed the moment of being woken, has its next look.
    shop.pass_time(minutes=1)
    workers.broker.enqueue(messages.build("sweeps.inbox"))
    workers.until_idle()
    before = shop.fingerprint()

    mail.repeat_everything()
    workers.until_idle()

    assert shop.fingerprint() == before
    is_a_purchase_after_one_retry(shop, session)


def test_with_every_follow_up_lost_the_sweeps_bring_everything_to_its_end(shop, workers, mail):
    session = create(shop, workers)
    workers.until_idle()
    mail.copies = 0
    shop.pay(session, DECLINED)
    lost = shop.event("payment_intent.payment_failed")
    workers.broker.enqueue(messages.receive_event(json.dumps(lost), session.created_at))
    workers.until_idle()
    assert shop.session(session.id).status == "failed"
    assert shop.snapshot(session)["paymentSession"]["status"] == "pending"
    assert shop.rows(Outbox)

    mail.copies = 1
    for _ in range(3):
        shop.pass_time(minutes=1)
        for sweep in ("sweeps.outbox", "sweeps.inbox", "sweeps.attempts", "sweeps.windows"):
            workers.broker.enqueue(messages.build(sweep))
        workers.until_idle()

    session = shop.session(session.id)
    assert (session.status, session.retry_count) == ("pending", 1)
    assert [row.actor for row in shop.rows(Outbox)] == []
    assert shop.snapshot(session)["retry"]["count"] == 1


def test_a_delayed_timer_that_comes_twice_retries_once(shop, workers, mail):
    session = create(shop, workers)
    decline(shop, workers, session)
    shop.pass_time(minutes=1)

    for delay in (20, 20, 30, 60):
        workers.broker.enqueue(messages.build("window.due", session_id=str(session.id)), delay=delay)
    workers.until_idle()

    session = shop.session(session.id)
    assert (session.status, session.retry_count) == ("pending", 1)
    assert shop.notifications(session).count("payment.retry_available") == 1


def test_a_restart_of_redis_in_the_middle_stalls_nothing(shop, workers, mail, redis_server: EmbeddedRedis):
    session = create(shop, workers)
    decline(shop, workers, session)
    shop.pass_time(minutes=1)
    broker = workers.broker
    broker.enqueue(messages.build("window.due", session_id=str(session.id)), delay=1_000)
    fetched = f"dramatiq:__acks__.{broker.broker_id}.windows.DQ"
    workers.until(lambda: broker.client.scard(fetched))

    redis_server.stop()
    shop.pay(session)
    redis_server.start()

    # The timer asks Stripe, which knows of the payment that nobody told us of.
    workers.until(lambda: shop.session(session.id).status == "completed")
    workers.until_idle()
    session = shop.session(session.id)
    assert (session.retry_count, len(shop.rows(Receipt))) == (0, 1)
    assert shop.snapshot(session)["paymentSession"]["status"] == "completed"


def test_a_flushall_in_the_middle_loses_nothing(shop, workers, mail):
    session = create(shop, workers)
    decline(shop, workers, session)
    broker = workers.broker
    broker.enqueue(messages.build("window.due", session_id=str(session.id)), delay=60_000)
    answered = click(shop, session)

    broker.client.flushall()

    workers.until(lambda: workers.unacknowledged() == 0)
    if not finished(shop, answered):
        broker.enqueue(answered)  # its caller asks again under the same key
    workers.until(lambda: finished(shop, answered))
    workers.until_idle()
    pay(shop, workers, session)
    for _ in range(3):
        shop.pass_time(minutes=1)
        for sweep in ("sweeps.outbox", "sweeps.inbox", "sweeps.windows"):
            broker.enqueue(messages.build(sweep))
        workers.until_idle()
    broker.enqueue(messages.publish_session(session.id))
    workers.until_idle()

    is_a_purchase_after_one_retry(shop, session)
