"""Analytics events (outbox): written to the log, one line an event, and sent to Segment where that is configured.

A second run sends the event under the same message id, which Segment drops; the outbox row goes when Segment has it. While
Segment is away the outbox sends it again, for a while: analytics is not worth keeping work for ever.
"""

import logging
import uuid
from datetime import datetime, timedelta

from paywindow import clock, jsons, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Transient
from paywindow.lanes import Lanes
from paywindow.models import outbox
from paywindow.models.database import transaction

logger = logging.getLogger("paywindow.analytics")

#: After this the event is dropped, and counted.
GIVEN_UP_AFTER = timedelta(days=2)
_LANES = Lanes(3)
_NAMESPACE = uuid.UUID("5c6f0f0b-1d3c-5f0e-9a34-6f0c7c1b7a52")


@actor("analytics.track")
def track(
    event: str,
    occurred_at: str,
    properties: dict[str, str],
    user_id: str | None = None,
    outbox_id: int | None = None,
) -> None:
    """Send one event with its properties, and log it."""
    if runtime().segment is not None and not _sent(event, occurred_at, properties, user_id):
        return
    logger.info(event, extra={"occurred_at": occurred_at, "properties": properties})
    with transaction():
        outbox.done(outbox_id)


def _sent(event: str, occurred_at: str, properties: dict[str, str], user_id: str | None) -> bool:
    """Whether the event is dealt with; if not, the outbox comes back. Raises :class:`Transient`, for the same."""
    segment, at = runtime().segment, datetime.fromisoformat(occurred_at)
    if segment is None:
        return True
    # Made of the event itself, so that it is the same however often and from wherever it is sent.
    message_id = uuid.uuid5(_NAMESPACE, jsons.canonical([event, occurred_at, properties]))
    with _LANES.enter("segment") as free:
        if not free:
            return False
        try:
            segment.track(event, user_id or properties["payment_session_id"], at, properties, str(message_id))
        except Transient as error:
            if clock.now() - at < GIVEN_UP_AFTER:
                metrics.ANALYTICS_EVENTS.labels("failed").inc()
                raise
            metrics.ANALYTICS_EVENTS.labels("dropped").inc()
            logger.warning("given up: %s", error, extra={"event": event, "message_id": str(message_id)})
            return True
    metrics.ANALYTICS_EVENTS.labels("sent").inc()
    return True
