"""A few small runs of the chaos suite: all kinds of faults, real processes, nothing lost. ``make chaos`` makes more of them."""

from collections.abc import Iterator

import pytest
from chaos.faults.registry import faults
from chaos.ground import Ground, prepared
from chaos.plans import draw
from chaos.runner import play

PURCHASES = 20
#: They follow one another, so that they go through all kinds of faults; the last keeps its receipts in S3.
SEEDS = (2, 3, 4)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with prepared(tmp_path_factory.mktemp("chaos") / "installation") as ground:
        yield ground


@pytest.mark.parametrize("seed", SEEDS)
def test_purchases_under_faults_leave_books_that_are_right_and_nothing_to_do(ground: Ground, seed: int) -> None:
    result = play(ground, draw(seed, PURCHASES))

    assert result.violations == []
    assert result.settled
    assert any(struck.hit for struck in result.struck)
    assert result.counts["charges"] > 0


def test_the_seeds_above_have_faults_of_every_kind() -> None:
    drawn = {blow.fault for seed in SEEDS for blow in draw(seed, PURCHASES).blows}

    assert drawn == faults().keys()


def test_a_seed_stands_for_the_same_purchases_and_faults_every_time() -> None:
    assert draw(7, 50) == draw(7, 50)
    assert draw(7, 50) != draw(8, 50)
