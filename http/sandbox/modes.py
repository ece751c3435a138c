"""Disorder on demand: what happens to webhooks between the event and the wire."""

from dataclasses import dataclass, field
from enum import StrEnum

from paywindow.sandbox.control_values import read_dataclass
from paywindow.sandbox.events import type_matches
from paywindow.sandbox.jsontypes import JsonObject


class Mode(StrEnum):
    """How events are sent on."""

    NORMAL = "normal"
    PAUSED = "paused"
    """Kept until the mode changes or a flush is asked for."""
    DUPLICATE = "duplicate"
    """``copies`` deliveries of the same event at once."""
    TWIN = "twin"
    """A second Event object, with an id of its own, for the same fact; Stripe's documentation warns of it."""
    REORDER = "reorder"
    """Gathered until there are ``size`` of them or ``seconds`` have passed, then sent newest first."""
    DELAY = "delay"
    """Sent ``seconds`` later."""
    DROP = "drop"
    """Never sent; the event list still has them."""


@dataclass(frozen=True, slots=True)
class DeliveryMode:
    """A mode, its numbers, and the event types that it applies to; other types are sent normally."""

    mode: Mode = Mode.NORMAL
    copies: int = 2
    seconds: float = 1.0
    size: int = 10
    types: list[str] = field(default_factory=lambda: ["*"])

    def applies_to(self, event: JsonObject) -> Mode:
        """The mode for one event."""
        return self.mode if type_matches(event["type"], self.types) else Mode.NORMAL

    @classmethod
    def from_json(cls, body: JsonObject) -> "DeliveryMode":
        """Read the control API's body; raises StripeError when it makes no sense."""
        return read_dataclass(cls, body)
