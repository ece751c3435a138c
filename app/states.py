"""The state machine of a payment session: one table, and nothing else assigns a status.

A cell answers what an event means for a session in a status:

* ``to(status)``: the session moves there;
* ``stay``: the event is right and is recorded, the status remains;
* ``past``: it already happened, or no longer matters: nothing is written;
* ``refund``: money that cannot stay: it is recorded and given back by itself. The status remains, unless one is named;
* ``hold``: money or a fact that an operator must judge: timers and settlement stop, the status remains;
* ``refuse(code)``: the caller is told no, with that error code.

Every cell is explicit. ``python -m paywindow.states`` prints the table as ``docs/states.md``.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a payment session stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class Event(StrEnum):
    """What can happen to a payment session."""

    PAGE_OPENED = "page_opened"
    PAGE_REFUSED = "page_refused"
    SUBMITTED = "submitted"
    PAID = "paid"
    PAID_LATE = "paid_late"
    PAID_LATE_HELD = "paid_late_held"
    PAID_TWICE = "paid_twice"
    PAID_MISMATCHED = "paid_mismatched"
    PAID_CANCELED = "paid_canceled"
    PAID_WHILE_TAKEN = "paid_while_taken"
    SUPERSEDED = "superseded"
    DECLINED = "declined"
    CONFIRMATION_FAILED = "confirmation_failed"
    WINDOW_CLOSED = "window_closed"
    PAGE_ROLLED = "page_rolled"
    RETRIED = "retried"
    RETRIES_USED_UP = "retries_used_up"
    GRANT_RETRY = "grant_retry"
    CANCEL = "cancel"
    EXPIRE = "expire"
    EXTEND = "extend"
    REOPEN = "reopen"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    REFUND_BLOCKED = "refund_blocked"
    RESOLVE_ACCEPT = "resolve_accept"
    RESOLVE_REFUND = "resolve_refund"


class Kind(StrEnum):
    """What a cell of the table answers."""

    MOVE = "move"
    STAY = "stay"
    PAST = "past"
    REFUND = "refund"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Answer:
    """One cell. ``status`` is set for a move, and for a refund that ends the session; ``code`` for a refusal.

    Codes are those of :data:`paywindow.errors.PROBLEMS`.
    """

    kind: Kind
    status: Status | None = None
    code: str | None = None

    def __str__(self) -> str:
        if self.status:
            return f"refund, → {self.status}" if self.kind is Kind.REFUND else f"→ {self.status}"
        return f"refuse: {self.code}" if self.code else self.kind.value


def _to(status: Status) -> Answer:
    return Answer(Kind.MOVE, status)


def _refuse(code: str) -> Answer:
    return Answer(Kind.REFUSE, code=code)


_STAY, _PAST, _HOLD, _REFUND = Answer(Kind.STAY), Answer(Kind.PAST), Answer(Kind.HOLD), Answer(Kind.REFUND)
_TO_PENDING, _TO_PROCESSING, _TO_COMPLETED = _to(Status.PENDING), _to(Status.PROCESSING), _to(Status.COMPLETED)
_TO_FAILED, _TO_EXPIRED, _TO_CANCELED = _to(Status.FAILED), _to(Status.EXPIRED), _to(Status.CANCELED)

MEANING: dict[Event, str] = {
    Event.PAGE_OPENED: "Stripe opened the Checkout page of the current attempt",
    Event.PAGE_REFUSED: "Stripe refused for good to open the page",
    Event.SUBMITTED: "the buyer submitted a delayed payment: complete, not yet paid",
    Event.PAID: "the right amount was charged in time, for the first time; or late, where late money is accepted",
    Event.PAID_LATE: "charged after the deadline and its grace; late money is refunded",
    Event.PAID_LATE_HELD: "charged after the deadline and its grace; late money is held",
    Event.PAID_TWICE: "charged although this session or its auction is settled or taken",
    Event.PAID_MISMATCHED: "charged another amount or currency than asked",
    Event.PAID_CANCELED: "charged although the sale was called off",
    Event.PAID_WHILE_TAKEN: "charged in time, learned of while the next bidder's session is open: settled once that is closed",
    Event.SUPERSEDED: "an earlier session of the auction turned out to be paid in time, and this one's page is closed at Stripe",
    Event.DECLINED: "a card was declined; the page stays payable",
    Event.CONFIRMATION_FAILED: "the delayed payment did not come",
    Event.WINDOW_CLOSED: "the deadline has passed, and Stripe says that the page is closed unpaid",
    Event.PAGE_ROLLED: "the page died before the window did: a new attempt takes its place",
    Event.RETRIED: "another try: by the timer on the page that is open or on a new one, by the buyer always on a new one",
    Event.RETRIES_USED_UP: "no tries are left: the page is closed at Stripe",
    Event.GRANT_RETRY: "an admin grants one more try",
    Event.CANCEL: "the marketplace calls the sale off, and the page is closed at Stripe",
    Event.EXPIRE: "an admin closes the window now, and the page is closed at Stripe",
    Event.EXTEND: "an admin moves the deadline, before it has passed",
    Event.REOPEN: "an admin opens the window again, if the auction is not taken",
    Event.REFUNDED: "all of the money went back, and the auction is free again, as was asked",
    Event.REFUND_FAILED: "money that should have gone back did not: Stripe refused, or the buyer's bank sent it back",
    Event.REFUND_BLOCKED: "a refund cannot be made for now: the payment is disputed, or the seller's balance does not cover it",
    Event.RESOLVE_ACCEPT: "an admin ends the hold and keeps the money, if the auction is not taken",
    Event.RESOLVE_REFUND: "an admin ends the hold and has the money given back",
}

_ORDER = (Status.PENDING, Status.PROCESSING, Status.FAILED, Status.COMPLETED, Status.EXPIRED, Status.CANCELED)
_ROWS: dict[Event, tuple[Answer, Answer, Answer, Answer, Answer, Answer]] = {
    # event: pending, processing, failed, completed, expired, canceled
    Event.PAGE_OPENED: (_STAY, _PAST, _STAY, _PAST, _PAST, _PAST),
    Event.PAGE_REFUSED: (_TO_FAILED, _PAST, _TO_FAILED, _PAST, _PAST, _PAST),
    Event.SUBMITTED: (_TO_PROCESSING, _PAST, _TO_PROCESSING, _PAST, _TO_PROCESSING, _STAY),
    Event.PAID: (_TO_COMPLETED, _TO_COMPLETED, _TO_COMPLETED, _PAST, _TO_COMPLETED, _REFUND),
    Event.PAID_LATE: (_REFUND, Answer(Kind.REFUND, Status.EXPIRED), _REFUND, _REFUND, _REFUND, _REFUND),
    Event.PAID_LATE_HELD: (_HOLD, _HOLD, _HOLD, _HOLD, _HOLD, _HOLD),
    Event.PAID_TWICE: (_REFUND, _REFUND, _REFUND, _REFUND, _REFUND, _REFUND),
    Event.PAID_MISMATCHED: (_HOLD, _HOLD, _HOLD, _HOLD, _HOLD, _HOLD),
    Event.PAID_CANCELED: (_REFUND, _REFUND, _REFUND, _REFUND, _REFUND, _REFUND),
    Event.PAID_WHILE_TAKEN: (_STAY, _STAY, _STAY, _STAY, _STAY, _STAY),
    Event.SUPERSEDED: (_TO_EXPIRED, _TO_EXPIRED, _TO_EXPIRED, _PAST, _PAST, _PAST),
    Event.DECLINED: (_TO_FAILED, _STAY, _STAY, _STAY, _STAY, _STAY),
    Event.CONFIRMATION_FAILED: (_TO_FAILED, _TO_FAILED, _PAST, _PAST, _PAST, _PAST),
    Event.WINDOW_CLOSED: (_TO_EXPIRED, _PAST, _TO_EXPIRED, _PAST, _PAST, _PAST),
    Event.PAGE_ROLLED: (_STAY, _PAST, _PAST, _PAST, _PAST, _PAST),
    Event.RETRIED: (
        _refuse("not_failed"),
        _refuse("payment_processing"),
        _TO_PENDING,
        _refuse("already_paid"),
        _refuse("session_expired"),
        _refuse("session_canceled"),
    ),
    Event.RETRIES_USED_UP: (_PAST, _PAST, _STAY, _PAST, _PAST, _PAST),
    Event.GRANT_RETRY: (
        _refuse("not_failed"),
        _refuse("payment_processing"),
        _STAY,
        _refuse("already_paid"),
        _refuse("session_expired"),
        _refuse("session_canceled"),
    ),
    Event.CANCEL: (
        _TO_CANCELED,
        _refuse("payment_processing"),
        _TO_CANCELED,
        _refuse("already_paid"),
        _refuse("session_expired"),
        _PAST,
    ),
    Event.EXPIRE: (
        _TO_EXPIRED,
        _refuse("payment_processing"),
        _TO_EXPIRED,
        _refuse("already_paid"),
        _PAST,
        _refuse("session_canceled"),
    ),
    Event.EXTEND: (
        _STAY,
        _STAY,
        _STAY,
        _refuse("already_paid"),
        _refuse("session_expired"),
        _refuse("session_canceled"),
    ),
    Event.REOPEN: (
        _refuse("session_open"),
        _refuse("payment_processing"),
        _refuse("session_open"),
        _refuse("already_paid"),
        _TO_PENDING,
        _refuse("session_canceled"),
    ),
    Event.REFUNDED: (_PAST, _PAST, _PAST, _STAY, _PAST, _PAST),
    Event.REFUND_FAILED: (_HOLD, _HOLD, _HOLD, _HOLD, _HOLD, _HOLD),
    Event.REFUND_BLOCKED: (_HOLD, _HOLD, _HOLD, _HOLD, _HOLD, _HOLD),
    Event.RESOLVE_ACCEPT: (_refuse("not_held"),) * 6,
    Event.RESOLVE_REFUND: (_refuse("not_held"),) * 6,
}
TABLE: dict[tuple[Event, Status], Answer] = {
    (event, status): answer for event, row in _ROWS.items() for status, answer in zip(_ORDER, row, strict=True)
}

#: While an operator's decision is awaited, these answers stand in for the table's, whatever the status...
HELD: dict[Event, Answer] = {
    Event.PAGE_OPENED: _PAST,
    Event.PAGE_REFUSED: _PAST,
    Event.SUBMITTED: _STAY,
    Event.PAID: _HOLD,
    Event.PAID_LATE: _HOLD,
    Event.PAID_LATE_HELD: _HOLD,
    Event.PAID_TWICE: _REFUND,
    Event.PAID_MISMATCHED: _HOLD,
    Event.PAID_CANCELED: _REFUND,
    Event.PAID_WHILE_TAKEN: _HOLD,
    Event.SUPERSEDED: _TO_EXPIRED,
    Event.DECLINED: _STAY,
    Event.CONFIRMATION_FAILED: _STAY,
    Event.WINDOW_CLOSED: _PAST,
    Event.PAGE_ROLLED: _PAST,
    Event.RETRIED: _refuse("session_held"),
    Event.RETRIES_USED_UP: _PAST,
    Event.GRANT_RETRY: _refuse("session_held"),
    Event.CANCEL: _refuse("session_held"),
    Event.EXPIRE: _refuse("session_held"),
    Event.EXTEND: _refuse("session_held"),
    Event.REOPEN: _refuse("session_held"),
    Event.REFUNDED: _STAY,
    Event.REFUND_FAILED: _HOLD,
    Event.REFUND_BLOCKED: _HOLD,
    Event.RESOLVE_ACCEPT: _TO_COMPLETED,
    Event.RESOLVE_REFUND: _STAY,
}

#: ...except for these. A paid session keeps what settled it, a canceled one never takes money.
HELD_EXCEPT: dict[tuple[Event, Status], Answer] = {
    (Event.SUPERSEDED, Status.COMPLETED): _PAST,
    (Event.SUPERSEDED, Status.EXPIRED): _PAST,
    (Event.SUPERSEDED, Status.CANCELED): _PAST,
    (Event.RESOLVE_ACCEPT, Status.COMPLETED): _STAY,
    (Event.RESOLVE_ACCEPT, Status.CANCELED): _refuse("session_canceled"),
    (Event.RESOLVE_REFUND, Status.PROCESSING): _TO_FAILED,
}

#: What a session may be held for: the event that brought the hold.
HOLD_REASONS = frozenset(event.value for (event, _), found in TABLE.items() if found.kind is Kind.HOLD)

_RELEASING = frozenset(
    {Event.PAGE_REFUSED, Event.WINDOW_CLOSED, Event.CANCEL, Event.EXPIRE, Event.SUPERSEDED, Event.REFUNDED}
)

#: The statuses in which a Checkout page may be payable.
PAYABLE = frozenset({Status.PENDING, Status.FAILED})


def answer(event: Event, status: Status, *, held: bool = False) -> Answer:
    """What ``event`` means for a session in ``status``, held or not."""
    return HELD_EXCEPT.get((event, status), HELD[event]) if held else TABLE[event, status]


def releases(event: Event, found: Answer) -> bool:
    """Whether ``event``, answered with ``found``, sets the auction free again."""
    return (event in _RELEASING and found.kind in (Kind.MOVE, Kind.STAY)) or (
        found.kind is Kind.REFUND and found.status is Status.EXPIRED
    )


def _held(event: Event) -> str:
    except_for = [f"{status}: {found}" for (e, status), found in HELD_EXCEPT.items() if e is event]
    return str(HELD[event]) + (f" ({'; '.join(except_for)})" if except_for else "")


def as_markdown() -> str:
    """The matrix as the document that ``docs/states.md`` holds."""
    head = [
        "# The states of a payment session",
        "",
        "Generated by `python -m paywindow.states`; a test compares it with the code.",
        "",
        "Each cell answers what an event means in a status: a move (`→`), `stay` (recorded, the status remains), `past`",
        "(already so, or no longer of interest: nothing is written), `refund` (money that cannot stay: it is recorded and given",
        "back by itself; the status remains unless one is named), `hold` (kept for an operator to judge), or a refusal.",
        "",
        "The last column holds in any status while the session is held, but for the statuses that it names.",
        "",
        "| event | meaning | " + " | ".join(_ORDER) + " | held |",
        "| --- | --- |" + " --- |" * (len(_ORDER) + 1),
    ]
    rows = [
        f"| `{event}` | {MEANING[event]} | "
        + " | ".join([*(str(TABLE[event, status]) for status in _ORDER), _held(event)])
        + " |"
        for event in Event
    ]
    moves = sorted(
        {(s, a.status) for (_, s), a in TABLE.items() if a.status}, key=lambda m: [_ORDER.index(x) for x in m]
    )
    diagram = [
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> pending",
        *(f"    {a} --> {b}" for a, b in moves),
        "```",
    ]
    return "\n".join([*head, *rows, *diagram, ""])


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 - printing is what this command is for
