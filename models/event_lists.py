"""The inbox for an operator's eyes: lists of events, newest first, and one event with its body."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import Tuple, fn

from paywindow import jsons
from paywindow.clock import isoformat
from paywindow.event_state import EventState
from paywindow.models import attempts
from paywindow.models.tables import CheckoutAttempt, StripeEvent


def page(
    *,
    state: EventState | None = None,
    kind: str | None = None,
    about: str | None = None,
    since: datetime | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> dict[str, Any]:
    """Events that came, newest first. ``kind``: Stripe's event type; ``about``: the id of a payment or another object.

    ``cursor`` is the id of the last event of the page before; an unknown one gives an empty page.
    """
    rows = StripeEvent.select().order_by(StripeEvent.received_at.desc(), StripeEvent.id.desc())
    if conditions := list(_conditions(state, kind, about, since, cursor)):
        rows = rows.where(*conditions)
    found = list(rows.limit(limit + 1))
    return {
        "events": [public(row) for row in found[:limit]],
        "nextCursor": found[limit - 1].id if len(found) > limit else None,
    }


def _conditions(
    state: EventState | None, kind: str | None, about: str | None, since: datetime | None, cursor: str | None
) -> Iterator[Any]:
    if state is EventState.UNHANDLED:
        yield StripeEvent.handled_at.is_null() & StripeEvent.parked_at.is_null()
    elif state is EventState.PARKED:
        yield StripeEvent.parked_at.is_null(False)
    elif state is not None:
        yield StripeEvent.verdict == state.value
    if kind is not None:
        yield StripeEvent.type == kind
    if about is not None:
        yield (subject() == about) | (StripeEvent.object_id == about)
    if since is not None:
        yield StripeEvent.received_at >= since
    if cursor is not None:
        last = StripeEvent.select(StripeEvent.received_at, StripeEvent.id).where(StripeEvent.id == cursor)
        yield Tuple(StripeEvent.received_at, StripeEvent.id) < last


def subject() -> Any:
    """What an event belongs to: its payment, or before there is one its object. Index stripe_events_about."""
    return fn.COALESCE(StripeEvent.payment_intent_id, StripeEvent.object_id)


def public(row: StripeEvent) -> dict[str, Any]:
    """An event as the command line prints it."""
    return {
        "id": row.id,
        "type": row.type,
        "state": state_of(row).value,
        "object": row.object_id,
        "payment": row.payment_intent_id,
        "account": row.account,
        "livemode": row.livemode,
        "createdAt": isoformat(row.stripe_created_at),
        "receivedAt": isoformat(row.received_at),
        "handledAt": _when(row.handled_at),
        "parkedAt": _when(row.parked_at),
        "nextTryAt": _when(row.next_try_at),
        "tries": row.tries,
        "error": row.last_error,
    }


def state_of(row: StripeEvent) -> EventState:
    """How far the event got."""
    if row.verdict is not None:
        return EventState(row.verdict)
    return EventState.PARKED if row.parked_at is not None else EventState.UNHANDLED


def report(event_id: str) -> dict[str, Any] | None:
    """One event with the session that it touches, if any, and its body as long as that is kept; ``None`` if unknown."""
    row = StripeEvent.get_or_none(StripeEvent.id == event_id)
    if row is None:
        return None
    attempt = attempt_of(row)
    return {
        **public(row),
        "session": str(attempt.session_id) if attempt is not None else None,
        "body": jsons.loads(row.body) if row.body is not None else None,
    }


def attempt_of(row: StripeEvent) -> CheckoutAttempt | None:
    """The attempt whose payment or page an event is about, by the ids that are stored here."""
    found = attempts.of_payment_intent(row.payment_intent_id) if row.payment_intent_id else None
    if found is None and row.object_id:
        found = attempts.of_checkout(row.object_id)
    return found


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
