"""Blows that fall while another one has hit what they need."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import cast

import psycopg2
import pytest
from chaos import storm
from chaos.ground import Ground
from chaos.plans import Blow
from chaos.storm import Storm
from redis import RedisError

Strike = Callable[[object], AbstractContextManager[bool]]


def _raging(monkeypatch: pytest.MonkeyPatch, strike: Strike) -> Storm:
    ground = cast(Ground, SimpleNamespace(books=SimpleNamespace(close=lambda: None)))
    fault = SimpleNamespace(target="front", strike=strike)
    monkeypatch.setattr(storm, "faults", lambda: {"front end frozen": fault})
    found = Storm(ground, [Blow(after=0, fault="front end frozen", seconds=0)], begun=lambda: 1)
    found.start()
    found.join()
    return found


def _raising(error: Exception) -> Strike:
    @contextmanager
    def strike(ground: object) -> Iterator[bool]:
        del ground
        raise error
        yield True

    return strike


@pytest.mark.parametrize("error", [ProcessLookupError(), RedisError(), psycopg2.OperationalError(), ConnectionError()])
def test_a_blow_on_what_another_one_has_just_ended_hits_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    found = _raging(monkeypatch, _raising(error))

    assert [struck.hit for struck in found.struck] == [False]
    assert found.broken == []


def test_a_blow_that_fails_otherwise_is_the_harness_own_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _raging(monkeypatch, _raising(KeyError("victim")))

    assert len(found.broken) == 1
