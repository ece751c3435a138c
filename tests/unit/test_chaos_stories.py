"""When a marketplace of the chaos suite has nothing more to wait for."""

from typing import cast

import pytest
from chaos.board import Board
from chaos.clock import Clock
from chaos.market import Market
from chaos.plans import draw
from chaos.stories import Purchase

from paywindow.sandbox.control_client import ControlClient


class Told:
    """A board on which these notifications have come."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = set(kinds)

    def told(self, session_id: str) -> set[str]:
        return self._kinds


def _waits(*kinds: str, until: str | None = None) -> bool:
    """Whether a purchase that was told these goes on waiting."""
    market, stripe, clock = cast(Market, None), cast(ControlClient, None), cast(Clock, None)
    purchase = Purchase(draw(1, 1).plans[0], (), market, stripe, clock, cast(Board, Told(*kinds)))
    return not purchase.told(*([until] if until else []))()


@pytest.mark.parametrize("over", ["completed", "expired", "canceled", "refunded", "held"])
def test_a_purchase_waits_for_nothing_after_its_end_was_told(over: str) -> None:
    assert not _waits(f"payment.{over}")


def test_a_purchase_waits_on_after_a_decline_unless_that_is_what_it_waits_for() -> None:
    assert _waits("payment.failed")
    assert not _waits("payment.failed", until="payment.failed")


def test_a_purchase_whose_page_is_refused_for_good_waits_for_nothing() -> None:
    assert not _waits("payment.failed", "auction.released")


def test_a_purchase_whose_auction_is_free_again_still_waits_to_be_told_why() -> None:
    assert _waits("auction.released")
