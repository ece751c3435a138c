"""The inbox: each Stripe event once, under Stripe's own id, with how far its handling got.

Two kinds of waiting are kept apart: a *failure* counts a try and backs off until the event is parked; an event that came
*before its time* (Stripe promises no order) just waits for the fact that it needs, and is woken by it.
"""

from datetime import datetime, timedelta
from typing import Any

from paywindow import jsons, logs
from paywindow.checkout import moment
from paywindow.errors import Permanent
from paywindow.messages import build
from paywindow.models import claims
from paywindow.models.database import send_after_commit
from paywindow.models.tables import StripeEvent

FAILURES_BEFORE_PARKING = 10
_FIRST_BACKOFF = timedelta(seconds=5)
_LONGEST_BACKOFF = timedelta(hours=1)
#: How long a claimed event is left to the worker that claimed it.
LEASE = timedelta(seconds=30)
#: More events than a PaymentIntent ever has waiting.
WOKEN_AT_ONCE = 100


def receive(event: dict[str, Any], body: str, received_at: datetime) -> StripeEvent:
    """Keep the event, or find the row of an earlier delivery; locked until the transaction ends."""
    logs.bind(event_id=event["id"])
    return StripeEvent.create_if_new(**_row(event, body, received_at)) or locked(event["id"])


def adopt(events: list[dict[str, Any]], at: datetime) -> list[str]:
    """Keep events that were read from Stripe's list, newest first, and never came as webhooks; returns their ids.

    They are handled oldest first: no order is needed, but this one waits least. Should a webhook come late after all, nothing
    happens twice: both find the same row.
    """
    rows = [_row(event, jsons.dumps(event), at) for event in reversed(events)]
    if not rows:
        return []
    inserted = StripeEvent.insert_many(rows).on_conflict_ignore().returning(StripeEvent.id).execute()
    adopted = [row.id for row in inserted]
    for event_id in adopted:
        send_after_commit(build("events.handle", event_id=event_id))
    return adopted


def _row(event: dict[str, Any], body: str, received_at: datetime) -> dict[str, Any]:
    subject = event["data"]["object"]
    return {
        "id": event["id"],
        "type": event["type"],
        "livemode": event["livemode"],
        "account": event.get("account"),
        "payment_intent_id": _payment_intent(subject),
        "object_id": subject.get("id"),
        "body": body,
        "stripe_created_at": moment(event["created"]),
        "received_at": received_at,
        "next_try_at": received_at + LEASE,
    }


def missing(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those among ``events`` that the inbox does not have, in the same order."""
    ids = [event["id"] for event in events]
    known = {row.id for row in StripeEvent.select(StripeEvent.id).where(StripeEvent.id.in_(ids))} if ids else set()
    return [event for event in events if event["id"] not in known]


def locked(event_id: str) -> StripeEvent:
    """The event's row, locked until the transaction ends."""
    logs.bind(event_id=event_id)
    row = StripeEvent.read_one("WHERE id = %s FOR UPDATE", event_id)
    if row is None:
        raise LookupError(f"there is no event {event_id}")
    return row


def handled(row: StripeEvent, verdict: str, at: datetime) -> None:
    """Handling is finished: ``applied``, ``nothing`` (nothing to do), ``foreign`` (not ours) or ``unknown_type``."""
    StripeEvent.change(row.id, handled_at=at, verdict=verdict, next_try_at=None, last_error=None, parked_at=None)


def failed(row: StripeEvent, error: str, at: datetime) -> None:
    """Handling failed: try again later, or park it for an operator after too many tries."""
    tries = row.tries + 1
    parked = tries >= FAILURES_BEFORE_PARKING
    wait = min(_FIRST_BACKOFF * 2 ** min(tries, 20), _LONGEST_BACKOFF)
    StripeEvent.change(
        row.id,
        tries=tries,
        last_error=error[:2000],
        parked_at=at if parked else None,
        next_try_at=None if parked else at + wait,
    )


def reopen(row: StripeEvent, at: datetime) -> None:
    """Forget how handling ended, parking included: the event stands as it did when it came."""
    StripeEvent.change(
        row.id, handled_at=None, verdict=None, parked_at=None, tries=0, last_error=None, next_try_at=at + LEASE
    )


def waits(row: StripeEvent, why: str, until: datetime) -> None:
    """The event came before the fact that it needs; not a failure."""
    StripeEvent.change(row.id, last_error=why, next_try_at=until)


def wake(payment_intent_id: str, at: datetime) -> None:
    """The PaymentIntent became known: events that waited for it are handled once the current transaction commits."""
    # What was taken for another shop's, because it came before its payment was known, is looked at again.
    StripeEvent.update(handled_at=None, verdict=None, next_try_at=at, last_error="its payment became known").where(
        StripeEvent.payment_intent_id == payment_intent_id, StripeEvent.verdict == "foreign"
    ).execute()
    # One that is being handled right now holds its row, and may be waiting for the session that we hold: claiming skips it,
    # and its own next look finds the fact.
    rows = claims.claim_due(
        StripeEvent,
        StripeEvent.next_try_at,
        at + LEASE,
        WOKEN_AT_ONCE,
        StripeEvent.payment_intent_id == payment_intent_id,
        StripeEvent.handled_at.is_null(),
        StripeEvent.last_error.is_null(False),
        next_try_at=at + LEASE,
    )
    for row in rows:
        send_after_commit(build("events.handle", event_id=row.id))


def claim_due(at: datetime, limit: int) -> int:
    """Send ``events.handle`` for up to ``limit`` unhandled events whose time has come; returns how many."""
    rows = claims.claim_due(
        StripeEvent,
        StripeEvent.next_try_at,
        at,
        limit,
        StripeEvent.handled_at.is_null(),
        StripeEvent.parked_at.is_null(),
        next_try_at=at + LEASE,
    )
    for row in rows:
        send_after_commit(build("events.handle", event_id=row.id))
    return len(rows)


def content(row: StripeEvent) -> dict[str, Any]:
    """The event as Stripe sent it. Raises :class:`Permanent` when it is too old to be kept."""
    if row.body is None:
        raise Permanent(f"the body of {row.id} is no longer kept")
    found: dict[str, Any] = jsons.loads(row.body)
    return found


def _payment_intent(subject: dict[str, Any]) -> str | None:
    intent = subject.get("id") if subject.get("object") == "payment_intent" else subject.get("payment_intent")
    return intent if isinstance(intent, str) else None
