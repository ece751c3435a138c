"""Delivering notifications to the marketplace's sinks.

``notifications.deliver`` (outbox of the fact): a delivery row for each configured sink, and a message for each row. Without a
sink there is nothing to do, and the notification stays readable. ``notifications.send`` (that message, or
``sweeps.notifications`` when a row is due): one try, the same id and body every time; its outcome is recorded afterwards. A
second run of a try whose outcome is known does nothing; one after a crash before the commit sends again, and the receiver
knows it by its id.
``notifications.replay`` (``paywindow notifications replay``): the rows begin anew, for all sinks that are configured now.
"""

import logging
import uuid
from datetime import timedelta
from typing import Any

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.lanes import Lanes
from paywindow.models import deliveries, notification_lists, operations, outbox
from paywindow.models.database import after_commit, transaction
from paywindow.models.deliveries import Outcome
from paywindow.models.tables import Notification, NotificationDelivery, Operation
from paywindow.notify.sinks import NotDelivered, NotWanted, Sink, Told

logger = logging.getLogger(__name__)

#: How many threads of a process one sink may keep busy, and when to come back when it does.
_LANES = Lanes(3)
BUSY_WAIT = timedelta(seconds=10)


@actor("notifications.deliver")
def deliver(notification_id: str, outbox_id: int | None = None) -> None:
    """Hand one notification to every configured sink."""
    with transaction():
        deliveries.plan(uuid.UUID(notification_id), runtime().sinks, clock.now())
        outbox.done(outbox_id)


@actor("notifications.send")
def send(delivery_id: int, tries: int) -> None:
    """Try once to deliver a notification to a sink, after ``tries`` that failed."""
    with transaction():
        delivery = deliveries.to_try(delivery_id, tries)
    if delivery is None:
        return
    with _LANES.enter(delivery.sink) as free:
        if not free:
            with transaction():
                deliveries.postpone(delivery, clock.now() + BUSY_WAIT)
            return
        error = _error(delivery)
    with transaction():
        _record(delivery, error)


def _error(delivery: NotificationDelivery) -> NotDelivered | NotWanted | None:
    """Make the try; what went wrong with it."""
    sink = runtime().sinks.get(delivery.sink)
    if sink is None:
        return NotDelivered("this sink is not configured")
    told = delivery.notification
    try:
        sink.send(Told(str(told.id), told.type, str(told.session_id), told.payload))
    except (NotDelivered, NotWanted) as error:
        return error
    return None


def _record(delivery: NotificationDelivery, error: NotDelivered | NotWanted | None) -> None:
    at = clock.now()
    if error is None:
        outcome = deliveries.delivered(delivery, at)
    else:
        outcome = deliveries.failed(delivery, str(error), at, final=isinstance(error, NotWanted))
    if outcome is not None:
        kind = _kind(runtime().sinks.get(delivery.sink))
        after_commit(lambda: _tell(delivery, kind, outcome, error))


def _kind(sink: Sink | None) -> str:
    return "unknown" if sink is None else sink.kind


def _tell(delivery: NotificationDelivery, kind: str, outcome: Outcome, error: Exception | None) -> None:
    metrics.NOTIFICATION_TRIES.labels(kind, outcome.value).inc()
    if error is not None:
        extra = {"notification_id": str(delivery.notification_id), "sink": delivery.sink, "tries": delivery.tries + 1}
        logger.warning("notification %s: %s", outcome.value, error, extra=extra)


@actor("notifications.replay")
def replay(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Have a notification delivered again, to one sink or to all; the outcome says what was planned."""
    operation, at = uuid.UUID(operation_id), clock.now()
    try:
        with transaction():
            row = operations.begin(operation, "notifications.replay", client, fingerprint, request, at)
            if row.outcome is not None:
                outbox.follow_up("publish.operation", at, operation_id=operation_id)
                return
            try:
                _plan_again(row, uuid.UUID(request["notification_id"]), request["sink"])
            except Problem as problem:
                operations.refuse(row, problem, at)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)


def _plan_again(row: Operation, notification_id: uuid.UUID, sink: str | None) -> None:
    """Raises :class:`Problem` before anything is changed."""
    at, sinks = clock.now(), runtime().sinks
    notification = Notification.select().where(Notification.id == notification_id).for_update().get_or_none()
    if notification is None:
        raise Problem("not_found", f"There is no notification {notification_id}.")
    if sink is not None and sink not in sinks:
        raise Problem("not_found", "That sink is not configured (NOTIFY_URLS, NOTIFY_SNS_TOPIC_ARN).")
    if not sinks:
        raise Problem("not_found", "No sink is configured (NOTIFY_URLS, NOTIFY_SNS_TOPIC_ARN).")
    deliveries.plan_again(notification_id, sinks if sink is None else [sink], at)
    row.session = notification.session
    operations.finish(row, 200, {"notification": notification_lists.report(notification_id)}, at)
