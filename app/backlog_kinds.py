"""The kinds of work that Postgres remembers until it is done, as operators ask for them."""

from enum import StrEnum


class BacklogKind(StrEnum):
    """Table by table; holds wait for a person, everything else for a worker."""

    OUTBOX = "outbox"
    OPERATIONS = "operations"
    EVENTS = "events"
    PARKED = "parked"
    ATTEMPTS = "attempts"
    WINDOWS = "windows"
    RECEIPTS = "receipts"
    HOLDS = "holds"
