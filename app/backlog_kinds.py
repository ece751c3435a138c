"""The kinds of work that Postgres remembers until it is done, as operators ask for them."""

from enum import StrEnum


class BacklogKind(StrEnum):
    """Parked events, holds, held refunds, refused shares and disputes wait for a person, everything else for a worker."""

    OUTBOX = "outbox"
    OPERATIONS = "operations"
    EVENTS = "events"
    PARKED = "parked"
    ATTEMPTS = "attempts"
    WINDOWS = "windows"
    REFUNDS = "refunds"
    RECEIPTS = "receipts"
    NOTIFICATIONS = "notifications"
    HOLDS = "holds"
    HELD_REFUNDS = "held-refunds"
    SHARES_REFUSED = "shares-refused"
    DISPUTES = "disputes"
