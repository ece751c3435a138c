"""Not asking Stripe while it does not answer.

A call to a Stripe that hangs keeps a thread for two time-outs. When several requests in a row had no answer or a 5xx, more of
them would only hold threads and let messages pile up; so calls fail at once, one after the other is let through to see, and the
first answer opens the way for all. What a refused call was for is where it was: in a row that says when to try again.
"""

import logging
import threading
import time
from collections.abc import Callable

from paywindow.errors import StripeUnavailable

logger = logging.getLogger(__name__)

#: Requests in a row without an answer, the SDK's repeats included, until calls are refused.
FAILURES = 6
#: Seconds from a failure to the next call that is let through.
REST_SECONDS = 2.0
#: Seconds until another one is let through although nothing was heard of the last: longer than a call can take.
TRIAL_SECONDS = 150.0


class Circuit:
    """One process's view of Stripe; any thread may use it. ``clock``: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._next_trial = 0.0

    @property
    def open(self) -> bool:
        """Whether Stripe counts as away."""
        return self._failures >= FAILURES

    def enter(self) -> None:
        """Before a call. Raises :class:`StripeUnavailable` while Stripe is away, but for one call at a time."""
        with self._lock:
            if not self.open:
                return
            if self._clock() >= self._next_trial:
                self._next_trial = self._clock() + TRIAL_SECONDS
                return
        raise StripeUnavailable("Stripe has not answered lately; it was not asked again")

    def record(self, answered: bool) -> None:
        """After each request, whatever it was for."""
        with self._lock:
            was_open = self.open
            self._failures = 0 if answered else self._failures + 1
            self._next_trial = self._clock() + REST_SECONDS
        if was_open != self.open:
            logger.warning("Stripe %s", "does not answer: calls fail at once" if self.open else "answers again")
