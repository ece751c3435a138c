"""The marketplace's own server fails."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground


@fault("receiver fails", "receiver", (0.5, 3))
def refuse(ground: "Ground") -> Iterator[bool]:
    """Notifications are answered with 500."""
    ground.board.refusing = True
    yield True
    ground.board.refusing = False
