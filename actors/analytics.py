"""Analytics events (outbox): written to the log, one line an event, from where a log pipeline can take them.

A second run writes the line again; ``occurred_at`` and the session's id tell that it is the same.
"""

import logging

from paywindow.actors.registry import actor
from paywindow.models import outbox
from paywindow.models.database import transaction

logger = logging.getLogger("paywindow.analytics")


@actor("analytics.track")
def track(event: str, occurred_at: str, properties: dict[str, str], outbox_id: int | None = None) -> None:
    """Log one event with its properties."""
    logger.info(event, extra={"occurred_at": occurred_at, "properties": properties})
    with transaction():
        outbox.done(outbox_id)
