"""The business clock jumps."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground


@fault("clock jumps by minutes", "clock", (0, 0), minutes=(1, 7, 31))
def minutes(ground: "Ground", minutes: int) -> Iterator[bool]:
    """Leases run out under those who hold them; short windows close."""
    ground.clock.jump(timedelta(minutes=minutes))
    yield True


@fault("clock jumps by hours", "clock", (0, 0), hours=(2, 12, 25))
def hours(ground: "Ground", hours: int) -> Iterator[bool]:
    """Pages die, windows close, Stripe forgets idempotency keys."""
    ground.clock.jump(timedelta(hours=hours))
    yield True


@fault("clock steps back", "clock", (0, 0), by=(2, 20))
def back(ground: "Ground", by: int) -> Iterator[bool]:
    """A wall clock is corrected: what was just written lies in the future."""
    ground.clock.jump(timedelta(seconds=-by))
    yield True
