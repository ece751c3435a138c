"""Notifications for an operator's eyes: lists, newest first, and one with its body and how each sink fared."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import Tuple, fn

from paywindow import cursors, jsons
from paywindow.clock import isoformat
from paywindow.models.tables import Notification, NotificationDelivery
from paywindow.notification_state import NotificationState


def page(
    *,
    state: NotificationState | None = None,
    session_id: uuid.UUID | None = None,
    kind: str | None = None,
    sink: str | None = None,
    since: datetime | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> dict[str, Any]:
    """Notifications with their deliveries. ``kind``: a type such as ``payment.completed``; ``state``: of any delivery."""
    rows = Notification.select().order_by(Notification.created_at.desc(), Notification.id.desc())
    if conditions := list(_conditions(state, session_id, kind, sink, since, cursor)):
        rows = rows.where(*conditions)
    found = list(rows.limit(limit + 1))
    last = found[limit - 1] if len(found) > limit else None
    ways = _deliveries([row.id for row in found[:limit]])
    return {
        "notifications": [public(row, ways.get(row.id, [])) for row in found[:limit]],
        "nextCursor": cursors.encode(last.created_at, last.id) if last is not None else None,
    }


def _conditions(
    state: NotificationState | None,
    session_id: uuid.UUID | None,
    kind: str | None,
    sink: str | None,
    since: datetime | None,
    cursor: str | None,
) -> Iterator[Any]:
    ways = NotificationDelivery.select().where(NotificationDelivery.notification == Notification.id)
    if sink is not None:
        ways = ways.where(NotificationDelivery.sink == sink)
    if state is NotificationState.UNSENT:
        yield ~fn.EXISTS(ways)
    elif state is not None:
        yield fn.EXISTS(ways.where(_COLUMNS[state].is_null(False)))
    elif sink is not None:
        yield fn.EXISTS(ways)
    if session_id is not None:
        yield Notification.session == session_id
    if kind is not None:
        yield Notification.type == kind
    if since is not None:
        yield Notification.created_at >= since
    if cursor is not None:
        yield Tuple(Notification.created_at, Notification.id) < Tuple(*cursors.decode(cursor))


#: The column that is set in a delivery of the state, and in no other.
_COLUMNS: dict[NotificationState, Any] = {
    NotificationState.WAITING: NotificationDelivery.next_try_at,
    NotificationState.DEAD: NotificationDelivery.dead_at,
    NotificationState.DELIVERED: NotificationDelivery.delivered_at,
}


def _deliveries(ids: list[uuid.UUID]) -> dict[uuid.UUID, list[NotificationDelivery]]:
    found: dict[uuid.UUID, list[NotificationDelivery]] = {}
    rows = NotificationDelivery.select().where(NotificationDelivery.notification.in_(ids)) if ids else ()
    for row in sorted(rows, key=lambda row: row.id):
        found.setdefault(row.notification_id, []).append(row)
    return found


def of_session(session_id: uuid.UUID) -> list[tuple[Notification, NotificationState]]:
    """What was told of a session, oldest first, and how far each got."""
    rows = list(Notification.select().where(Notification.session == session_id).order_by(Notification.created_at))
    ways = _deliveries([row.id for row in rows])
    return [(row, _state(ways.get(row.id, []))) for row in rows]


def report(notification_id: uuid.UUID) -> dict[str, Any] | None:
    """One notification with its body; ``None`` if unknown."""
    row = Notification.get_or_none(Notification.id == notification_id)
    if row is None:
        return None
    return {**public(row, _deliveries([row.id]).get(row.id, [])), "body": jsons.loads(row.payload)}


def public(row: Notification, ways: list[NotificationDelivery]) -> dict[str, Any]:
    """A notification as the command line prints it."""
    return {
        "id": str(row.id),
        "type": row.type,
        "sessionId": str(row.session_id),
        "state": _state(ways).value,
        "createdAt": isoformat(row.created_at),
        "deliveries": [_public_delivery(way) for way in ways],
    }


def _public_delivery(way: NotificationDelivery) -> dict[str, Any]:
    return {
        "sink": way.sink,
        "state": state_of(way).value,
        "failedTries": way.tries,
        "nextTryAt": _when(way.next_try_at),
        "deliveredAt": _when(way.delivered_at),
        "deadAt": _when(way.dead_at),
        "error": way.last_error,
    }


def state_of(way: NotificationDelivery) -> NotificationState:
    """How far it got at one sink."""
    if way.delivered_at is not None:
        return NotificationState.DELIVERED
    return NotificationState.DEAD if way.dead_at is not None else NotificationState.WAITING


def _state(ways: list[NotificationDelivery]) -> NotificationState:
    """The worst that can be said of any of them."""
    states = {state_of(way) for way in ways}
    order = (NotificationState.DEAD, NotificationState.WAITING, NotificationState.DELIVERED)
    return next((state for state in order if state in states), NotificationState.UNSENT)


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
