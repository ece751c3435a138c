"""Sweeps: what was not done promptly is found in Postgres and done now.

Enqueued by the scheduler. Each claims a batch of due rows by pushing their next turn away (``FOR UPDATE SKIP LOCKED``), so that
neither a second run nor another sweep sends the same row meanwhile, and sends their messages after the commit.
"""

from paywindow import clock
from paywindow.actors.registry import actor
from paywindow.models import attempts, inbox, outbox
from paywindow.models.database import transaction

BATCH = 500


@actor("sweeps.outbox")
def sweep_outbox() -> None:
    """Send follow-ups whose consumer should long have deleted them."""
    with transaction():
        outbox.claim_overdue(clock.now(), BATCH)


@actor("sweeps.inbox")
def sweep_inbox() -> None:
    """Handle events that failed, came too early, or whose worker died."""
    with transaction():
        inbox.claim_due(clock.now(), BATCH)


@actor("sweeps.attempts")
def sweep_attempts() -> None:
    """Go on with attempts whose page is not recorded yet."""
    with transaction():
        attempts.claim_due(clock.now(), BATCH)
