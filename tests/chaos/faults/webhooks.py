"""What the network does to webhooks between Stripe and us."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground


@fault("webhooks duplicated", "webhooks", (1, 3), copies=(2, 5))
def duplicate(ground: "Ground", copies: int) -> Iterator[bool]:
    """Each event comes several times at once."""
    ground.shop.stripe.webhook_mode("duplicate", copies=copies)
    yield True
    ground.shop.stripe.webhook_mode("normal")


@fault("webhooks in pairs", "webhooks", (1, 3))
def pair(ground: "Ground") -> Iterator[bool]:
    """Two events with ids of their own for each fact."""
    ground.shop.stripe.webhook_mode("twin")
    yield True
    ground.shop.stripe.webhook_mode("normal")


@fault("webhooks reordered", "webhooks", (1, 3), size=(3, 12))
def reorder(ground: "Ground", size: int) -> Iterator[bool]:
    """Several events are gathered and sent newest first."""
    ground.shop.stripe.webhook_mode("reorder", size=size, seconds=0.5)
    yield True
    ground.shop.stripe.webhook_mode("normal")


@fault("webhooks delayed for hours", "webhooks", (0.5, 2), hours=(1, 5))
def delay(ground: "Ground", hours: int) -> Iterator[bool]:
    """Events are kept back, and come hours later, newest first."""
    ground.shop.stripe.webhook_mode("paused")
    yield True
    ground.clock.jump(timedelta(hours=hours))
    ground.shop.stripe.call("POST", "/webhooks/flush", reverse=True)
    ground.shop.stripe.webhook_mode("normal")


@fault("webhooks dropped", "webhooks", (0.5, 2))
def drop(ground: "Ground") -> Iterator[bool]:
    """Events never come. They stay in Stripe's list."""
    ground.shop.stripe.webhook_mode("drop")
    yield True
    ground.shop.stripe.webhook_mode("normal")
