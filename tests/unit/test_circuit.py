"""When Stripe counts as away, who is let through to see, and when it counts as back."""

import pytest

from paywindow.circuit import FAILURES, REST_SECONDS, TRIAL_SECONDS, Circuit
from paywindow.errors import StripeUnavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    """One that has just opened."""
    made = Circuit(clock)
    for _ in range(FAILURES):
        made.enter()
        made.record(answered=False)
    return made


def refused(circuit: Circuit) -> bool:
    try:
        circuit.enter()
    except StripeUnavailable:
        return True
    return False


def test_a_few_failures_and_failures_between_answers_refuse_nothing() -> None:
    circuit = Circuit(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            circuit.record(answered=False)
        assert not refused(circuit)
        circuit.record(answered=True)
    assert not circuit.open


def test_after_enough_in_a_row_calls_fail_at_once(circuit: Circuit) -> None:
    assert circuit.open
    assert [refused(circuit) for _ in range(3)] == [True] * 3


def test_one_call_at_a_time_is_let_through_to_see(circuit: Circuit, clock: Clock) -> None:
    clock.now += REST_SECONDS
    assert [refused(circuit) for _ in range(3)] == [False, True, True]
    # It hangs, and nobody else is let in meanwhile.
    clock.now += REST_SECONDS * 10
    assert refused(circuit)
    # It failed, so the next one comes after a rest.
    circuit.record(answered=False)
    assert refused(circuit)
    clock.now += REST_SECONDS
    assert not refused(circuit)


def test_the_first_answer_opens_the_way_for_all(circuit: Circuit, clock: Clock) -> None:
    clock.now += REST_SECONDS
    circuit.enter()
    circuit.record(answered=True)

    assert not circuit.open
    assert [refused(circuit) for _ in range(3)] == [False] * 3


def test_a_call_that_was_let_through_and_never_ended_does_not_close_the_way_for_ever(
    circuit: Circuit, clock: Clock
) -> None:
    clock.now += REST_SECONDS
    circuit.enter()
    clock.now += TRIAL_SECONDS

    assert not refused(circuit)
