"""Deliveries: a row for each notification and sink, so that no sink delays or repeats another.

Due rows are found by ``sweeps.notifications``; a message only makes the first try prompt. A try belongs to a number, that of
the tries before it: a message of a try whose outcome is known already does nothing. A worker that dies between a receiver's
answer and its own commit leaves the row due, and the same id is sent again.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from peewee import SQL

from paywindow.messages import build
from paywindow.models import claims
from paywindow.models.database import send_after_commit
from paywindow.models.tables import Notification, NotificationDelivery

#: Waits after the first, second... try that failed: the example of Standard Webhooks, three days in all, up to a tenth longer.
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: How long a try is left to the message that was sent for it. Longer than a try takes, and than messages usually wait.
LEASE = timedelta(minutes=2)
_JITTERED = "%s + %s * (1 + random() * 0.1)"


class Outcome(StrEnum):
    """What came of a try."""

    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"


def plan(notification_id: uuid.UUID, sinks: Iterable[str], at: datetime) -> None:
    """Have a notification delivered to ``sinks``; those that have a row already are left alone."""
    rows = [
        {"notification": notification_id, "sink": sink, "next_try_at": at + LEASE, "created_at": at} for sink in sinks
    ]
    if rows:
        inserted = NotificationDelivery.insert_many(rows).on_conflict_ignore().returning(NotificationDelivery)
        _send(inserted.execute())


def plan_again(notification_id: uuid.UUID, sinks: Iterable[str], at: datetime) -> None:
    """Have it delivered to ``sinks`` from the beginning, whatever became of it there before."""
    fresh: dict[Any, Any] = {
        NotificationDelivery.tries: 0,
        NotificationDelivery.next_try_at: at + LEASE,
        NotificationDelivery.delivered_at: None,
        NotificationDelivery.dead_at: None,
        NotificationDelivery.last_error: None,
    }
    for sink in sinks:
        row = NotificationDelivery.insert(
            notification=notification_id, sink=sink, next_try_at=at + LEASE, created_at=at
        ).on_conflict(conflict_target=[NotificationDelivery.notification, NotificationDelivery.sink], update=fresh)
        _send(row.returning(NotificationDelivery).execute())
    Notification.update(delivered_at=None).where(Notification.id == notification_id).execute()


def to_try(delivery_id: int, tries: int) -> NotificationDelivery | None:
    """The delivery with its notification, if its try number ``tries`` (from 0) is still to be made."""
    found: NotificationDelivery | None = (
        NotificationDelivery.select(NotificationDelivery, Notification)
        .join(Notification)
        .where(
            NotificationDelivery.id == delivery_id,
            NotificationDelivery.tries == tries,
            NotificationDelivery.next_try_at.is_null(False),
        )
        .get_or_none()
    )
    return found


def delivered(delivery: NotificationDelivery, at: datetime) -> Outcome | None:
    """The sink has it. ``None``: another run of the same try was faster."""
    # Two sinks that finish at once wait here for each other, so the second sees that it is the last.
    Notification.select().where(Notification.id == delivery.notification_id).for_update().get()
    if not _changed(delivery, next_try_at=None, delivered_at=at, last_error=None):
        return None
    others = NotificationDelivery.select().where(
        NotificationDelivery.notification == delivery.notification_id, NotificationDelivery.delivered_at.is_null()
    )
    if not others.exists():
        Notification.update(delivered_at=at).where(Notification.id == delivery.notification_id).execute()
    return Outcome.DELIVERED


def failed(delivery: NotificationDelivery, error: str, at: datetime, *, final: bool = False) -> Outcome | None:
    """The sink did not take it: again later, or never when that was the last try or is ``final``."""
    dead = final or delivery.tries >= len(SCHEDULE)
    wait = None if dead else SQL(_JITTERED, (at, SCHEDULE[delivery.tries]))
    changed = _changed(
        delivery,
        tries=delivery.tries + 1,
        next_try_at=wait,
        dead_at=at if dead else None,
        last_error=error[:500],
    )
    if not changed:
        return None
    return Outcome.DEAD if dead else Outcome.FAILED


def postpone(delivery: NotificationDelivery, until: datetime) -> None:
    """The try could not be made now; it is none."""
    _changed(delivery, next_try_at=until)


def _changed(delivery: NotificationDelivery, **changes: Any) -> bool:
    rows = NotificationDelivery.update(**changes).where(
        NotificationDelivery.id == delivery.id,
        NotificationDelivery.tries == delivery.tries,
        NotificationDelivery.next_try_at.is_null(False),
    )
    return bool(rows.execute())


def claim_due(at: datetime, limit: int) -> int:
    """Send ``notifications.send`` for up to ``limit`` deliveries whose time has come; returns how many."""
    rows = claims.claim_due(NotificationDelivery, NotificationDelivery.next_try_at, at, limit, next_try_at=at + LEASE)
    _send(rows)
    return len(rows)


def _send(rows: Iterable[NotificationDelivery]) -> None:
    for row in rows:
        send_after_commit(build("notifications.send", delivery_id=row.id, tries=row.tries))
