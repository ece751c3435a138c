"""Faults on demand, seen through the real SDK, and what idempotency keys make of them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import stripe

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

PARAMS: Any = {
    "mode": "payment",
    "success_url": "https://shop.example/done",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {"currency": "usd", "unit_amount": 27_550, "product_data": {"name": "Lot 7"}},
        }
    ],
}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig()) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_faults", base_addresses={"api": sandbox.url}, max_network_retries=0)


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


@pytest.fixture
def create(client: stripe.StripeClient) -> Callable[[str], str]:
    return lambda key: client.v1.checkout.sessions.create(PARAMS, {"idempotency_key": key}).id


def wait_until(condition: Callable[[], object]) -> None:
    """Poll; the test run's own limit ends a wait that never comes true."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)


def sessions(control: ControlClient) -> list[str]:
    return [session["id"] for session in control.ledger()["sessions"]]


def test_a_500_before_the_work_leaves_the_key_free(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("500", method="POST", path_prefix="/v1/checkout/sessions")
    with pytest.raises(stripe.APIError) as caught:
        create("k")
    assert caught.value.http_status == 500
    assert sessions(control) == []
    assert [create("k")] == sessions(control)


def test_a_500_after_the_work_is_what_the_key_replays(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("500_after_work")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            create("k")
    assert len(sessions(control)) == 1


def test_a_broken_connection_after_the_work_replays_the_real_answer(
    control: ControlClient, create: Callable[[str], str]
) -> None:
    control.fault("timeout_after_work")
    with pytest.raises(stripe.APIConnectionError):
        create("k")
    assert [create("k")] == sessions(control)


def test_a_refused_connection_does_no_work(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("refuse_connection", times=2)
    for _ in range(2):
        with pytest.raises(stripe.APIConnectionError):
            create("k")
    assert sessions(control) == []
    assert control.call("GET", "/faults")["faults"] == []


def test_a_held_reply_has_done_its_work(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("hold_reply")
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(create("k")))
    caller.start()
    wait_until(control.holds)
    assert (len(sessions(control)), answers) == (1, [])
    assert create("k") == sessions(control)[0]
    control.release_holds()
    caller.join()
    assert answers == sessions(control)


def test_a_key_in_flight_is_409_and_free_afterwards(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("hold_request")
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(create("k")))
    caller.start()
    wait_until(control.holds)
    assert sessions(control) == []
    with pytest.raises(stripe.StripeError) as caught:
        create("k")
    assert caught.value.http_status == 409
    assert cast(Any, caught.value.error).code == "idempotency_key_in_use"
    control.release_holds()
    caller.join()
    assert answers == sessions(control)
    assert create("k") == answers[0]


def test_a_slow_request_is_answered(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("slow", seconds=0.01)
    assert create("k") in sessions(control)


@pytest.mark.parametrize(("code", "reason"), [("rate_limit", "endpoint-rate"), ("lock_timeout", "resource-specific")])
def test_a_429_names_its_reason(control: ControlClient, create: Callable[[str], str], code: str, reason: str) -> None:
    control.fault("429", code=code, reason=reason)
    with pytest.raises(stripe.StripeError) as caught:
        create("k")
    assert caught.value.http_status == 429
    assert cast(Any, caught.value.error).code == code
    assert cast(dict[str, str], caught.value.headers)["Stripe-Rate-Limited-Reason"] == reason
    assert create("k") in sessions(control)


def test_the_rate_limit_holds_for_each_key(
    control: ControlClient, sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    control.call("POST", "/rate-limit", rate=0.001)
    client.v1.accounts.retrieve_current()
    with pytest.raises(stripe.RateLimitError):
        client.v1.accounts.retrieve_current()
    other = stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.url})
    other.v1.accounts.retrieve_current()
    control.call("POST", "/rate-limit", rate=None)
    client.v1.accounts.retrieve_current()


def test_a_fault_can_let_requests_pass_first(control: ControlClient, create: Callable[[str], str]) -> None:
    control.fault("500", path_suffix="/sessions", skip=1)
    create("a")
    with pytest.raises(stripe.APIError):
        create("b")


def test_the_ledger_counts_calls_and_replays(control: ControlClient, create: Callable[[str], str]) -> None:
    create("a")
    create("a")
    ledger = control.ledger()
    route = "POST /v1/checkout/sessions"
    assert (ledger["calls"][route], ledger["replays"][route]) == (2, 1)
    assert ledger["sessions"][0]["idempotency_key"] == "a"
