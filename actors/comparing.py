"""What the comparisons of payments, pages and refunds share: evidence, suspicion, and mending by the ordinary handlers.

A list of Stripe's is a moment old, and the books move on meanwhile. So what a list makes suspicious is read again at Stripe,
alone, and judged again: only what still disagrees is a finding.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from paywindow import clock
from paywindow.actors.event_context import Context
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout, read_checkout
from paywindow.currencies import CURRENCIES
from paywindow.models import moves
from paywindow.models.database import transaction
from paywindow.models.tables import PaymentSession
from paywindow.money import Money

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Evidence:
    """An object of Stripe's; ``page``: the Checkout Session that it belongs to, where that was read, too."""

    found: dict[str, Any]
    page: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The books and Stripe disagree. ``subject``: the id of what they disagree about.

    ``mend`` makes it good by ordinary means, in the name of whoever is given, outside of any transaction; ``None`` where no rule
    says how.
    """

    code: str
    subject: str
    session_id: uuid.UUID | None
    ours: str
    theirs: str
    mend: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """A row of the books that no list of Stripe's has shown: its Stripe id, session, and how it reads."""

    stripe_id: str
    session_id: uuid.UUID
    reads: str
    position: str


def look(kind: str, stripe_id: str) -> Evidence | None:
    """An object of ``kind`` as it is at Stripe now; ``None`` if there is none."""
    found = runtime().gateway.find(kind, stripe_id)
    return None if found is None else Evidence(found)


def against_books(
    evidence: list[Evidence],
    booked: dict[Any, Row],
    unbooked: Callable[[dict[str, Any]], Suspicion | None],
    difference: Callable[[dict[str, Any], Row], Suspicion | None],
) -> list[tuple[Evidence, Suspicion]]:
    """What is suspicious among objects of Stripe's, given the books' rows by Stripe's id."""
    found = []
    for each in evidence:
        row = booked.get(each.found["id"])
        suspicion = unbooked(each.found) if row is None else difference(each.found, row)
        if suspicion is not None:
            found.append((each, suspicion))
    return found


def tell(
    handler: Callable[[Context], str], found: dict[str, Any], who: str, page: dict[str, Any] | None = None
) -> None:
    """Have the handler of an event applied to an object as Stripe has it now, as if the event had just come.

    ``who`` is named in the audit trail. Raises what the handler raises, for instance
    :class:`~paywindow.actors.event_context.NotYet`.
    """
    known: dict[str, Checkout] = {}
    if page is not None:
        known[page["id"]] = read_checkout(page)
    with transaction():
        context = Context(
            {"id": None, "type": "reconciliation", "data": {"object": found}}, clock.now(), known, PATIENT, who
        )
        handler(context)


#: Handlers that would rather wait for another event are told that they have waited long enough.
PATIENT = timedelta(days=1)


def money(minor: int, currency: str) -> str:
    """An amount as people read it; in minor units where the currency is not one of ours."""
    code = currency.upper()
    return str(Money(minor, code)) if code in CURRENCIES else f"{minor} minor units of {code}"


def stands(session: PaymentSession) -> str:
    """How a session stands, in a few words."""
    held = f", held ({session.hold_reason})" if session.hold_reason else ""
    released = ", auction released" if session.released_at else ""
    return f"{session.status}{held}{released}"


def is_held(session_id: uuid.UUID | None) -> bool:
    """Whether an operator is to decide about the session."""
    if session_id is None:
        return False
    with transaction():
        session = moves.lock_session(session_id)
    return session is not None and session.hold_reason is not None
