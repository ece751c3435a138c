"""Events that Stripe sent and nobody kept: found in Stripe's own list, and handled like those that came.

``sweeps.stripe_events`` (scheduler) reads ``GET /v1/events`` from where the last run ended, with overlap, a hundred a page,
and puts what the inbox lacks into it. So a webhook whose message was lost with Redis after the 200, or that was sent while
nobody listened, is handled all the same, a minute or two later. Stripe's list reaches back 30 days; what an outage longer
than that has lost is said, and left to the comparison of the books (``paywindow reconcile``).

Only types that mean something here are kept. Events and cursor are one commit; a second run, or another at the same
moment, finds the cursor moved and the events known.
"""

import logging
from datetime import timedelta
from typing import Any

from paywindow import clock, metrics
from paywindow.actors.handlers import HANDLERS, nothing_to_do
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.messages import build
from paywindow.models import event_walks, inbox
from paywindow.models.database import send_after_commit, transaction

logger = logging.getLogger(__name__)

#: Pages that one run reads at most; the next run goes on.
PAGES = 10
_PAUSE = timedelta(seconds=1)

#: Types whose events change something here.
WANTED = frozenset(kind for kind, handler in HANDLERS.items() if handler is not nothing_to_do)


@actor("sweeps.stripe_events")
def walk() -> None:
    """Read on in Stripe's list of events, as many pages as the sweeps' share of calls allows."""
    with transaction():
        waiting = event_walks.begin(runtime().gateway.livemode, clock.now()) is not None
    pages = 0
    # One at a time: mostly there is but one, and what is claimed is taken from other sweeps.
    while waiting and pages < PAGES and runtime().budget.claim_for_sweep(1):
        if not _read_page():
            return
        pages += 1
    if pages:
        with transaction():
            send_after_commit(build("sweeps.stripe_events"), delay=_PAUSE)


def wanted(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those events whose types mean something here."""
    return [event for event in events if event["type"] in WANTED]


def _read_page() -> bool:
    """Read one page and keep what is new; true when there is more to read and nobody else is reading it."""
    gateway = runtime().gateway
    with transaction():
        found = event_walks.begin(gateway.livemode, clock.now())
    if found is None:
        return False
    try:
        events, more = gateway.list_page("event", found.part_since, found.part_until, found.after_event_id)
    except StripeUnavailable as error:
        logger.warning("left for later: %s", error)
        return False
    except StripeRefused as refusal:
        if found.after_event_id is None:
            raise
        logger.warning("the list of events is read anew: %s", refusal)
        with transaction():
            event_walks.restart_part(found, clock.now())
        return False
    at = clock.now()
    with transaction():
        last = events[-1]["id"] if events else None
        if not event_walks.advance(found, last, finished=not more, at=at):
            return False
        adopted = inbox.adopt(wanted(events), at)
    if adopted:
        logger.warning("%d events had not come as webhooks", len(adopted))
        metrics.EVENTS_RECOVERED.inc(len(adopted))
    if not more:
        metrics.EVENTS_WALKED_UNTIL.set(found.part_until.timestamp())
    return more
