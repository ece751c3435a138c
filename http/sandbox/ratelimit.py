"""A token bucket for each API key (https://docs.stripe.com/rate-limits), on real time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from paywindow.sandbox.errors import rate_limited


@dataclass(slots=True)
class RateLimiter:
    """``rate`` requests per second with as large a burst; None lets everything pass."""

    rate: float | None = None
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: str) -> None:
        """Spend a token; raises Stripe's 429 when there is none."""
        if self.rate is None:
            return
        now = self.clock()
        capacity = max(self.rate, 1.0)
        tokens, then = self._buckets.get(key, (capacity, now))
        tokens = min(capacity, tokens + (now - then) * self.rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            raise rate_limited("global-rate")
        self._buckets[key] = (tokens - 1, now)

    def set_rate(self, rate: float | None) -> None:
        """Change the limit; buckets start full."""
        self.rate = rate
        self._buckets.clear()
