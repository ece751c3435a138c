"""Commands without an outcome are run again: after an outage of Stripe, and after Redis lost their message."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Message

from paywindow import clock, ids, jsons, messages
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeUnavailable
from paywindow.models.tables import Operation, PaymentSession

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

DECLINED = "4000000000000002"
#: Each command that closes a page at Stripe first, and how its session stands once it was carried out.
CLOSING = {"checkout.cancel": "canceled", "window.expire": "expired", "payment.retry": "pending"}


class Killed(BaseException):
    """The worker dies here."""


def command(actor: str, session: PaymentSession, **more: Any) -> Message[Any]:
    request: dict[str, Any] = {"session_id": str(session.id), "reason": "because", **more}
    return messages.command(actor, uuid.uuid4(), "shop", ids.fingerprint(actor, request), request)


def failed_session(shop: Shop) -> PaymentSession:
    """A session that can be canceled, expired and retried; its page is open."""
    session = shop.open_session()
    shop.pay(session, DECLINED)
    shop.deliver()
    return session


def row_of(shop: Shop, message: Message[Any]) -> Operation:
    (row,) = shop.rows(Operation, Operation.id == message.kwargs["operation_id"])
    return row


def outcome_of(shop: Shop, message: Message[Any]) -> dict[str, Any]:
    return shop.outcome(uuid.UUID(message.kwargs["operation_id"]))


def in_an_outage(shop: Shop, message: Message[Any], times: int = 1) -> None:
    """Run a message while Stripe cannot be reached, as often as the broker would before giving it up."""
    shop.fault("refuse_connection", times=1000)
    for _ in range(times):
        with pytest.raises(StripeUnavailable):
            shop.run(message)
    shop.mend()
    shop.work()


def sent_again(shop: Shop) -> list[str]:
    """Which commands the sweep sends now."""
    shop.run(messages.build("sweeps.operations"))
    sent = [shop.queue.messages.popleft() for _ in range(len(shop.queue.messages))]
    return [message.kwargs["operation_id"] for message in sent]


@pytest.mark.parametrize("actor", CLOSING)
def test_a_command_whose_message_was_given_up_in_an_outage_is_carried_out_after_it(shop: Shop, actor: str) -> None:
    session = failed_session(shop)
    message = command(actor, session)
    in_an_outage(shop, message, times=4)

    shop.pass_time(seconds=31)
    shop.sweep()

    assert outcome_of(shop, message)["status"] == 200
    assert shop.session(session.id).status == CLOSING[actor]
    assert shop.ledger()["sessions"][0]["status"] == "expired"


@pytest.mark.parametrize("actor", CLOSING)
def test_a_command_whose_message_was_lost_while_its_page_was_being_closed_is_carried_out(
    shop: Shop, actor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = failed_session(shop)
    message = command(actor, session)

    def die(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(runtime().gateway, "expire_checkout", die)
        with pytest.raises(Killed):
            shop.run(message)
    shop.wipe_queue()

    shop.pass_time(seconds=31)
    shop.sweep()

    assert outcome_of(shop, message)["status"] == 200
    assert shop.session(session.id).status == CLOSING[actor]


@pytest.mark.parametrize("actor", CLOSING)
def test_a_command_about_a_page_that_stripe_does_not_know_is_refused_and_changes_nothing(
    shop: Shop, actor: str
) -> None:
    session = failed_session(shop)
    shop.control("reset")  # as a key of another account
    message = command(actor, session)

    shop.run(message)
    shop.work()

    outcome = outcome_of(shop, message)
    assert (outcome["status"], outcome["body"]["code"]) == (422, "stripe_refused")
    assert outcome["body"]["sessionId"] == str(session.id)
    assert shop.session(session.id).status == "failed"
    shop.pass_time(minutes=30)
    assert sent_again(shop) == []


@pytest.mark.parametrize("actor", CLOSING)
def test_a_command_that_a_worker_has_in_hand_is_left_to_it(shop: Shop, actor: str) -> None:
    message = command(actor, failed_session(shop))
    in_an_outage(shop, message)

    assert sent_again(shop) == []
    shop.pass_time(seconds=31)
    assert sent_again(shop) == [message.kwargs["operation_id"]]
    assert sent_again(shop) == []


def test_a_command_is_sent_again_after_waits_that_double_up_to_a_quarter_of_an_hour(shop: Shop) -> None:
    message = command("checkout.cancel", failed_session(shop))
    in_an_outage(shop, message)

    waits = []
    for _ in range(8):
        shop.pass_time(seconds=(row_of(shop, message).next_try_at - clock.now() + timedelta(seconds=1)).total_seconds())
        at = clock.now()
        assert sent_again(shop) == [message.kwargs["operation_id"]]
        waits.append((row_of(shop, message).next_try_at - at).total_seconds())

    assert waits == pytest.approx([30, 60, 120, 240, 480, 900, 900, 900], abs=10)


def test_a_command_is_sent_again_word_for_word(shop: Shop) -> None:
    message = command("checkout.cancel", failed_session(shop))
    in_an_outage(shop, message)

    shop.pass_time(seconds=31)
    shop.run(messages.build("sweeps.operations"))

    again = shop.take("checkout.cancel")
    assert again.kwargs == jsons.loads(jsons.dumps(message.kwargs))


@pytest.mark.parametrize("actor", ["checkout.create", "window.reopen"])
def test_a_command_that_waits_for_its_page_is_left_to_the_sweep_of_attempts(shop: Shop, actor: str) -> None:
    if actor == "checkout.create":
        message = shop.create_message(shop.request())
    else:
        session = shop.open_session(window_minutes=60)
        shop.pass_time(hours=1)
        shop.sweep()
        message = command(actor, session, minutes=60, until=None)
    in_an_outage(shop, message)
    shop.pass_time(minutes=1)

    assert sent_again(shop) == []

    shop.sweep()
    assert outcome_of(shop, message)["status"] in (200, 201)


def test_a_command_that_has_its_outcome_is_not_sent_again(shop: Shop) -> None:
    shop.cancel(shop.open_session())

    shop.pass_time(hours=1)

    assert sent_again(shop) == []


def test_sweeps_at_the_same_moment_send_no_command_twice(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="20")
    wanted = [command("checkout.cancel", shop.open_session()) for _ in range(4)]
    for message in wanted:
        in_an_outage(shop, message)
    shop.pass_time(seconds=31)

    shop.together(*[messages.build("sweeps.operations")] * 4)

    sent = [message.kwargs["operation_id"] for message in shop.queue.messages]
    assert sorted(sent) == sorted(message.kwargs["operation_id"] for message in wanted)
