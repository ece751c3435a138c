"""Stripe does not answer: no thread is held, whoever waits is told why, and no dead letters pile up."""

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Message, Worker
from support.jobs import declare

from paywindow import jsons
from paywindow.actors import registry, runtime
from paywindow.actors.delays import TellOfDelays
from paywindow.broker import MAX_RETRIES, Broker, make_broker
from paywindow.circuit import FAILURES, Circuit
from paywindow.errors import StripeUnavailable
from paywindow.models.tables import CheckoutAttempt
from paywindow.published import delay_key, operation_key
from paywindow.settings import secret

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

CREATE = {"method": "POST", "path_prefix": "/v1/checkout/sessions"}


@pytest.fixture
def broker(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker with the shop's actors, whose retries come at once."""
    monkeypatch.setattr("paywindow.broker.MIN_BACKOFF_MS", 1)
    monkeypatch.setattr("paywindow.broker.MAX_BACKOFF_MS", 2)
    made = make_broker(secret(shop.settings.redis_url), TellOfDelays())
    registry.declare(made)
    worker = Worker(made, worker_timeout=25, worker_threads=8)
    worker.start()
    yield made
    worker.stop()
    made.close()


def until(condition: Callable[[], Any]) -> Any:
    while not (found := condition()):
        threading.Event().wait(0.01)
    return found


def delay(shop: Shop, message: Message[Any]) -> Any:
    text = shop.state.get(delay_key(uuid.UUID(message.kwargs["operation_id"])))
    return None if text is None else jsons.loads(text)


def open_circuit() -> Circuit:
    circuit = runtime.runtime().gateway.circuit
    for _ in range(FAILURES):
        circuit.record(answered=False)
    return circuit


def test_a_create_is_told_that_stripe_does_not_answer_and_leaves_no_dead_letter(shop: Shop, broker: Broker) -> None:
    shop.fault("500", times=1000, **CREATE)
    message = shop.create_message(shop.request())

    broker.enqueue(message)

    told = until(lambda: delay(shop, message))
    assert (told["status"], told["body"]["code"], told["client"]) == (202, "stripe_unavailable", "shop")
    assert told["fingerprint"] == message.kwargs["fingerprint"]
    broker.join("interactive")
    assert broker.client.zcard("dramatiq:interactive.XQ") == 0
    # What is left is the row, which says when to go on.
    (attempt,) = shop.rows(CheckoutAttempt)
    assert (attempt.status, attempt.tries) == ("claimed", 1 + MAX_RETRIES)
    shop.mend()
    shop.pass_time(minutes=15)
    shop.sweep()
    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["status"] == 201


def test_a_failure_that_is_over_with_the_next_try_is_not_told(shop: Shop, broker: Broker) -> None:
    shop.fault("500", times=2, **CREATE)  # the SDK asks twice
    message = shop.create_message(shop.request())

    broker.enqueue(message)
    until(lambda: shop.rows(CheckoutAttempt, CheckoutAttempt.status == "open"))
    broker.join("interactive")

    assert delay(shop, message) is None


def test_while_stripe_is_known_to_be_away_it_is_not_asked_and_the_first_try_tells(shop: Shop, broker: Broker) -> None:
    circuit = open_circuit()
    circuit._next_trial = float("inf")
    message = shop.create_message(shop.request())

    broker.enqueue(message)

    assert until(lambda: delay(shop, message))["body"]["code"] == "stripe_unavailable"
    broker.join("interactive")
    assert shop.ledger()["sessions"] == []
    assert shop.state.get(operation_key(uuid.UUID(message.kwargs["operation_id"]))) is None


def test_the_requests_that_stripe_does_not_answer_open_the_circuit_and_an_answer_closes_it(shop: Shop) -> None:
    gateway = runtime.runtime().gateway
    shop.fault("refuse_connection", times=FAILURES)
    for _ in range(FAILURES // 2):  # each is repeated once by the SDK
        assert not gateway.circuit.open
        with pytest.raises(StripeUnavailable):
            gateway.retrieve_checkout("cs_test_none")
    assert gateway.circuit.open
    with pytest.raises(StripeUnavailable, match="not asked"):
        gateway.retrieve_checkout("cs_test_none")

    gateway.circuit._next_trial = 0.0
    list(gateway.transfers_of("nothing"))

    assert not gateway.circuit.open


def test_other_messages_are_not_told_of(shop: Shop, broker: Broker) -> None:
    open_circuit()._next_trial = float("inf")
    failed = threading.Event()

    def job() -> None:
        failed.set()
        raise StripeUnavailable("away")

    declare(broker, job).send()
    assert failed.wait(30)
    broker.join("jobs")

    assert not shop.state.keys("pw:operation:*")
    assert broker.client.zcard("dramatiq:jobs.XQ") == 0
