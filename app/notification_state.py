"""How far a notification got, as operators ask for it and read it."""

from enum import StrEnum


class NotificationState(StrEnum):
    """Told nobody (nobody was configured), still to be delivered somewhere, given up somewhere, or everywhere delivered."""

    UNSENT = "unsent"
    WAITING = "waiting"
    DEAD = "dead"
    DELIVERED = "delivered"
