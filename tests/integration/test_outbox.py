"""Follow-ups: written with their cause, done at least once, and sent again until they are done."""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, messages
from paywindow.models import database as db
from paywindow.models import outbox
from paywindow.models.tables import Outbox, Receipt

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


def follow_up(**arguments: Any) -> None:
    """Write a follow-up in a transaction of its own."""
    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), **arguments)


def test_after_redis_was_wiped_the_sweep_brings_a_payment_to_its_end(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver(work=False)
    completed = next(
        message for message in shop.queue.messages if '"type": "checkout.session.completed"' in message.kwargs["body"]
    )
    shop.run(completed)
    assert len(shop.rows(Outbox)) > 1
    shop.wipe_queue()

    for _ in range(3):
        shop.pass_time(minutes=1)
        shop.sweep()

    (receipt,) = shop.rows(Receipt)
    snapshot = shop.snapshot(session)
    assert shop.rows(Outbox) == []
    assert snapshot["paymentSession"]["status"] == "completed"
    assert snapshot["receipt"] == {
        "id": str(receipt.id),
        "number": receipt.receipt_number,
        "ready": True,
        "downloadUrl": f"http://127.0.0.1:8080/payments/receipts/{receipt.id}/download",
    }


def test_after_redis_was_wiped_a_creates_outcome_is_published_again(shop: Shop) -> None:
    message = shop.create_message(shop.request())
    shop.run(message)
    shop.wipe_queue()

    shop.pass_time(minutes=1)
    shop.sweep()

    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["status"] == 201


def test_a_consumer_deletes_its_row(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()

    assert shop.rows(Outbox) == []


def test_a_prompt_message_carries_the_id_of_its_row(shop: Shop) -> None:
    session = shop.open_session()
    follow_up(session_id=str(session.id))

    (row,) = shop.rows(Outbox)
    (message,) = shop.queue.messages
    assert message.kwargs == {"session_id": str(session.id), "outbox_id": row.id}


def test_waits_double_from_sending_to_sending(shop: Shop) -> None:
    at = clock.now()
    follow_up(session_id="never consumed")
    (row,) = shop.rows(Outbox)
    waits = [round((row.next_send_at - at).total_seconds())]
    for _ in range(9):
        at = row.next_send_at
        with db.transaction():
            assert outbox.claim_overdue(at, 10) == 1
        (row,) = shop.rows(Outbox)
        waits.append(round((row.next_send_at - at).total_seconds()))

    for wait, about in zip(waits, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600], strict=True):
        assert about * 0.75 <= wait <= about * 1.25
    assert row.sends == 10


def test_what_is_not_due_is_not_sent(shop: Shop) -> None:
    follow_up(session_id="never consumed")
    shop.queue.messages.clear()

    shop.run(messages.build("sweeps.outbox"))

    assert not shop.queue.messages


def test_sweeps_at_the_same_moment_send_no_row_twice(shop: Shop) -> None:
    for number in range(40):
        follow_up(session_id=str(number))
    shop.queue.messages.clear()
    shop.pass_time(minutes=1)

    shop.together(*[messages.build("sweeps.outbox")] * 4)

    sent = [message.kwargs["session_id"] for message in shop.queue.messages]
    assert sorted(sent, key=int) == [str(number) for number in range(40)]


def test_a_batch_takes_the_longest_overdue_first(shop: Shop) -> None:
    for number in range(3):
        follow_up(session_id=str(number))
        shop.pass_time(minutes=1)
    shop.queue.messages.clear()

    with db.transaction():
        assert outbox.claim_overdue(clock.now(), 2) == 2

    assert [message.kwargs["session_id"] for message in shop.queue.messages] == ["0", "1"]


def test_a_rolled_back_transaction_leaves_no_row_and_sends_nothing(shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id="1")
        _ = 1 / 0
    with db.transaction():
        pass

    assert (shop.rows(Outbox), list(shop.queue.messages)) == ([], [])


def test_a_rolled_back_savepoint_takes_its_own_messages_and_leaves_the_others(shop: Shop) -> None:
    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id="outer")
        with pytest.raises(ZeroDivisionError), db.savepoint():
            outbox.follow_up("publish.session", clock.now(), session_id="inner")
            _ = 1 / 0

    assert [message.kwargs["session_id"] for message in shop.queue.messages] == ["outer"]
    assert len(shop.rows(Outbox)) == 1


def test_a_message_that_cannot_be_sent_is_left_to_the_sweep(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(message: Any, *, delay: int | None = None) -> None:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(db, "_send", refuse)
    follow_up(session_id="1")
    monkeypatch.undo()

    assert len(shop.rows(Outbox)) == 1
    with db.transaction():
        assert outbox.claim_overdue(clock.now() + timedelta(minutes=1), 10) == 1


def test_several_follow_ups_are_forgotten_together_and_no_others(shop: Shop) -> None:
    for number in "123":
        follow_up(session_id=number)
    first, _, third = (row.id for row in sorted(shop.rows(Outbox), key=lambda row: row.id))
    with db.transaction():
        outbox.done(first, None, third)
    assert [row.arguments for row in shop.rows(Outbox)] == ['{"session_id":"2"}']
