"""Identifiers: the same question gives the same id, another one another; what only has to be new is."""

import multiprocessing
import uuid
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal

from paywindow import ids

SESSION = uuid.UUID("7f0f3f2a-5f0e-4d47-9d7b-3b5b0f7a2d11")


def _drawn() -> list[str]:
    return [ids.unique() for _ in range(100)]


def test_a_repeated_key_of_a_client_names_the_same_operation() -> None:
    assert ids.operation_id("shop", "order-1") == ids.operation_id("shop", "order-1")


def test_another_key_or_another_client_names_another_operation() -> None:
    named = {
        ids.operation_id("shop", "order-1"),
        ids.operation_id("shop", "order-2"),
        ids.operation_id("office", "order-1"),
        # The client's name cannot run over into the key.
        ids.operation_id("a", "b:c"),
        ids.operation_id("a:b", "c"),
    }

    assert len(named) == 5


def test_what_only_has_to_be_new_is_new_in_a_forked_process_too() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forked:
        both = [*forked.submit(_drawn).result(), *_drawn()]

    assert len(set(both)) == 200
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in both)


def test_without_a_key_each_command_is_an_operation_of_its_own() -> None:
    assert ids.operation_id("shop", None) != ids.operation_id("shop", None)


def test_a_fingerprint_does_not_depend_on_the_order_of_members() -> None:
    one = ids.fingerprint("checkout.create", {"a": 1, "b": Decimal("2.50")})
    other = ids.fingerprint("checkout.create", {"b": Decimal("2.50"), "a": 1})

    assert one == other
    assert len(one) == 64


def test_a_fingerprint_tells_kinds_and_requests_apart() -> None:
    asked = [
        ids.fingerprint("checkout.create", {"a": 1}),
        ids.fingerprint("checkout.cancel", {"a": 1}),
        ids.fingerprint("checkout.create", {"a": 2}),
        ids.fingerprint("checkout.create", {"a": "1"}),
        ids.fingerprint("checkout.create", {"a": None}),
    ]

    assert len(set(asked)) == len(asked)


def test_each_attempt_has_its_own_key_at_stripe_within_stripes_length() -> None:
    first, second = ids.checkout_key(SESSION, 1), ids.checkout_key(SESSION, 2)

    assert first == ids.checkout_key(SESSION, 1) != second
    assert len(second) <= 255
