"""The messages: each name has one queue, each queue one role, and what travels is plain JSON."""

import uuid
from datetime import UTC, datetime

import pytest
from dramatiq import Message

from paywindow import messages
from paywindow.messages import ACTORS, ROLES, CheckoutRequest, Queue

REQUEST = CheckoutRequest(
    auction_id=str(uuid.uuid4()),
    buyer_id=str(uuid.uuid4()),
    amount_minor=27550,
    currency="USD",
    late_policy="refund",
    window_minutes=1440,
)


def test_every_queue_is_served_by_exactly_one_role() -> None:
    served = [queue for queues in ROLES.values() for queue in queues]

    assert sorted(served) == sorted(Queue)


def test_every_actor_listens_on_a_queue_that_exists() -> None:
    assert set(ACTORS.values()) == set(Queue)


def test_nobody_waits_behind_a_pdf_a_sweep_or_a_server_that_is_not_ours() -> None:
    assert ROLES["receipts"] == (Queue.RECEIPT_NUMBERS, Queue.RECEIPTS, Queue.DELIVERIES)
    assert not {Queue.SWEEPS, Queue.WINDOWS, Queue.DELIVERIES} & set(ROLES["interactive"])
    assert ACTORS["receipts.render"] == Queue.RECEIPTS
    assert ACTORS["checkout.open"] == Queue.WINDOWS


def test_an_unknown_actor_has_no_message() -> None:
    with pytest.raises(KeyError):
        messages.build("checkout.crate")


@pytest.mark.parametrize(
    "message",
    [
        messages.create_checkout(uuid.uuid4(), "shop", "f" * 64, REQUEST),
        messages.command(
            "checkout.cancel", uuid.uuid4(), "shop", "f" * 64, {"session_id": str(uuid.uuid4()), "reason": None}
        ),
        messages.receive_event('{"id": "evt_1"}', datetime(2026, 1, 31, tzinfo=UTC)),
        messages.publish_session(uuid.uuid4()),
        messages.find_operation(uuid.uuid4(), uuid.uuid4(), "shop"),
        messages.locate_receipt(uuid.uuid4(), uuid.uuid4(), None),
        messages.locate_receipt(uuid.uuid4(), uuid.uuid4(), uuid.uuid4()),
    ],
    ids=lambda message: message.actor_name,
)
def test_a_message_survives_the_way_through_redis(message: Message) -> None:
    again = Message.decode(message.encode())

    assert (again.actor_name, again.queue_name, again.kwargs) == (
        message.actor_name,
        message.queue_name,
        message.kwargs,
    )
    assert again.queue_name == ACTORS[again.actor_name]


def test_a_checkout_request_comes_back_as_it_was_sent() -> None:
    message = Message.decode(messages.create_checkout(uuid.uuid4(), "shop", "f" * 64, REQUEST).encode())

    assert CheckoutRequest(**message.kwargs["request"]) == REQUEST
