"""Headers with rules of their own."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from paywindow.errors import Problem
from paywindow.front.headers import idempotency_key, preferred_wait, request_id


def request(*pairs: tuple[str, str]) -> object:
    return make_mocked_request("POST", "/", headers=CIMultiDict(pairs))


@pytest.mark.parametrize("key", ["a", "!~", "k" * 255])
def test_an_idempotency_key_is_visible_ascii(key: str) -> None:
    assert idempotency_key(request(("Idempotency-Key", key))) == key  # type: ignore[arg-type]


def test_a_command_may_come_without_a_key() -> None:
    assert idempotency_key(request()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "é", "a\x7f"])
def test_another_key_is_refused(key: str) -> None:
    with pytest.raises(Problem) as caught:
        idempotency_key(request(("Idempotency-Key", key)))  # type: ignore[arg-type]
    assert caught.value.code == "invalid_header"


def test_two_keys_are_refused() -> None:
    with pytest.raises(Problem):
        idempotency_key(request(("Idempotency-Key", "a"), ("Idempotency-Key", "a")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ((), None),
        (("wait=5",), 5),
        (("respond-async, wait=0",), 0),
        (('WAIT = "7"; x=1',), 7),
        (("return=minimal", "wait=3", "wait=9"), 3),
        (("wait=-1",), None),
        (("wait=1.5",), None),
        (("wait=",), None),
        (("waiting=5",), None),
        (("wait=99999999999999999999",), None),
    ],
)
def test_the_preferred_wait_is_read_as_rfc_7240_says(values: tuple[str, ...], seconds: int | None) -> None:
    assert preferred_wait(request(*(("Prefer", value) for value in values))) == seconds  # type: ignore[arg-type]


def test_a_harmless_request_id_is_kept_and_any_other_replaced() -> None:
    assert request_id(request(("X-Request-Id", "trace-1.a_B"))) == "trace-1.a_B"  # type: ignore[arg-type]
    for bad in ("", "a b", "x" * 129, "a\tb", "<script>"):
        assert request_id(request(("X-Request-Id", bad))) != bad  # type: ignore[arg-type]
