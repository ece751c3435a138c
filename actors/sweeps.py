"""Sweeps: what was not done promptly is found in Postgres and done now.

Enqueued by the scheduler. Each claims a batch of due rows by pushing their next turn away (``FOR UPDATE SKIP LOCKED``), so that
neither a second run nor another sweep sends the same row meanwhile, and sends their messages after the commit.
"""

import uuid
from datetime import timedelta

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.models import attempts, deliveries, inbox, operations, outbox, refund_claims, shares, windows
from paywindow.models.database import transaction
from paywindow.published import DRIFT_TOLERANCE

BATCH = 500
#: Deadlines this close are claimed ahead and their messages sent with the exact delay, so that closing is not rounded up to
#: the sweep's next round.
LOOK_AHEAD = timedelta(seconds=2)


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
    """Go on with attempts whose page is not recorded yet, as many as the sweeps' share of calls allows."""
    at = clock.now()
    with transaction():
        waiting = attempts.count_due(at, BATCH)
    allowed = runtime().budget.claim_for_sweep(waiting) if waiting else 0
    if allowed:
        with transaction():
            attempts.claim_due(at, allowed)


@actor("sweeps.operations")
def sweep_operations() -> None:
    """Run commands again that have no outcome although their time is over."""
    with transaction():
        operations.claim_due(clock.now(), BATCH)


@actor("sweeps.refunds")
def sweep_refunds() -> None:
    """Go on with refunds whose answer is not recorded, as many as the share of calls allows."""
    at = clock.now()
    with transaction():
        waiting = refund_claims.count_due(at, BATCH)
    allowed = runtime().budget.claim_for_sweep(waiting) if waiting else 0
    if allowed:
        with transaction():
            refund_claims.claim_due(at, allowed)


@actor("sweeps.windows")
def sweep_windows() -> None:
    """Attend to windows whose deadline has come or whose page has died, as many as the sweeps' share of calls allows."""
    at = clock.now()
    with transaction():
        waiting = windows.count_due(at + LOOK_AHEAD, BATCH)
    allowed = runtime().budget.claim_for_sweep(waiting) if waiting else 0
    if allowed:
        with transaction():
            windows.claim_due(at, at + LOOK_AHEAD, allowed)


@actor("sweeps.sellers")
def sweep_sellers() -> None:
    """Send sellers what they are due and did not get, and ask for figures that did not come by themselves."""
    at = clock.now()
    with transaction():
        waiting = shares.count_due(at, BATCH)
    allowed = runtime().budget.claim_for_sweep(waiting) if waiting else 0
    if allowed:
        with transaction():
            sent = shares.claim_due_shares(at, allowed)
            shares.claim_due_figures(at, allowed - sent)


@actor("sweeps.notifications")
def sweep_notifications() -> None:
    """Have notifications delivered whose next try is due."""
    with transaction():
        deliveries.claim_due(clock.now(), BATCH)


@actor("sweeps.window_mirror")
def sweep_window_mirror() -> None:
    """Compare the remaining times in Redis with the deadlines in Postgres, and put right what drifted."""
    last = uuid.UUID(int=0)
    while True:
        with transaction():
            deadlines = windows.open_deadlines(last, BATCH)
        repaired = []
        for session_id, drift in runtime().publisher.mirror_windows(deadlines).items():
            metrics.WINDOW_DRIFT.observe(drift.total_seconds())
            if drift > DRIFT_TOLERANCE:
                metrics.WINDOW_REPAIRS.inc()
                repaired.append(session_id)
        if repaired:
            # Nobody else would look at a window again that has closed since its deadline was read.
            with transaction():
                for session_id in windows.no_longer_open(repaired):
                    outbox.follow_up("publish.session", clock.now(), session_id=str(session_id))
        if len(deadlines) < BATCH:
            return
        last = deadlines[-1][0]
