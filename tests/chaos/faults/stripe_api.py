"""Stripe fails, before or after doing what it was asked for, refuses, dawdles, or is away."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground

#: What is asked for while the fault lasts: anything, or one thing again and again.
_PATHS = ("/v1/", "/v1/", "/v1/checkout/sessions", "/v1/refunds")
_TIMES = (1, 4, 12)


@fault("Stripe says 500", "stripe", (0, 0), times=_TIMES, path=_PATHS)
def fail(ground: "Ground", times: int, path: str) -> Iterator[bool]:
    """Nothing was done."""
    ground.shop.stripe.fault("500", times=times, path_prefix=path)
    yield True


@fault("Stripe says 500 after the work", "stripe", (0, 0), times=_TIMES, path=_PATHS)
def fail_after_work(ground: "Ground", times: int, path: str) -> Iterator[bool]:
    """It was done, and the error is what the key is answered with from now on."""
    ground.shop.stripe.fault("500_after_work", times=times, path_prefix=path)
    yield True


@fault("Stripe times out after the work", "stripe", (0, 0), times=_TIMES, path=_PATHS)
def time_out_after_work(ground: "Ground", times: int, path: str) -> Iterator[bool]:
    """It was done, and the connection breaks."""
    ground.shop.stripe.fault("timeout_after_work", times=times, path_prefix=path, seconds=0.2)
    yield True


@fault("Stripe says 429", "stripe", (0, 0), times=(4, 12, 30))
def limit(ground: "Ground", times: int) -> Iterator[bool]:
    """Too many requests."""
    ground.shop.stripe.fault("429", times=times)
    yield True


@fault("Stripe is slow", "stripe", (0, 0), times=_TIMES, wait=(0.5, 2.0))
def dawdle(ground: "Ground", times: int, wait: float) -> Iterator[bool]:
    """Each of the next calls waits."""
    ground.shop.stripe.fault("slow", times=times, seconds=wait)
    yield True


@fault("Stripe is unreachable", "stripe", (0.5, 2.5))
def refuse(ground: "Ground") -> Iterator[bool]:
    """Connections break at once."""
    ground.shop.stripe.fault("refuse_connection", times=100_000)
    yield True
    ground.shop.stripe.call("DELETE", "/faults")


@fault("Stripe does not answer", "stripe", (0.5, 2))
def freeze(ground: "Ground") -> Iterator[bool]:
    """Connections are taken, and nothing comes. No webhooks either."""
    ground.shop.freeze("sandbox")
    yield True
    ground.shop.thaw("sandbox")
