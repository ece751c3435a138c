"""What a handler of Stripe's events gets, and what it may answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from paywindow.checkout import Checkout
from paywindow.errors import PaywindowError
from paywindow.models.moves import Cause

APPLIED, NOTHING, FOREIGN = "applied", "nothing", "foreign"


class NotYet(PaywindowError):
    """The event speaks of something that is not recorded yet, though it will be."""


@dataclass(frozen=True, slots=True)
class Context:
    """An event to handle. ``known``: Checkout Sessions just read from Stripe. ``waited``: since the event came.

    ``who``: Stripe, or who had the books compared with it and made good.
    """

    event: dict[str, Any]
    at: datetime
    known: dict[str, Checkout]
    waited: timedelta
    who: str = "stripe"

    @property
    def subject(self) -> dict[str, Any]:
        """The object that the event is about."""
        found: dict[str, Any] = self.event["data"]["object"]
        return found

    @property
    def cause(self) -> Cause:
        """Who to name in the audit trail."""
        return Cause(self.who, self.at, why=self.event["type"], stripe_event_id=self.event["id"])
