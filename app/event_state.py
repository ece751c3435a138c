"""How far an event of the inbox got, as operators ask for it and read it."""

from enum import StrEnum


class EventState(StrEnum):
    """Kept but not handled yet, set aside after too many failures, or the verdict with which handling ended."""

    UNHANDLED = "unhandled"
    PARKED = "parked"
    APPLIED = "applied"
    NOTHING = "nothing"
    FOREIGN = "foreign"
    UNKNOWN_TYPE = "unknown_type"
