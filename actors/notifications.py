"""Delivering notifications to the marketplace (outbox).

The row in ``notifications`` is written with the fact it tells of. No sink is configurable yet, so a delivery has nowhere to
go: the follow-up ends, and the row stays with ``delivered_at`` empty.
"""

from paywindow.actors.registry import actor
from paywindow.models import outbox
from paywindow.models.database import transaction


@actor("notifications.deliver")
def deliver(notification_id: str, outbox_id: int | None = None) -> None:
    """Hand one notification to every configured sink."""
    del notification_id
    with transaction():
        outbox.done(outbox_id)
