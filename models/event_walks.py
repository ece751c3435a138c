"""The cursor of the walk along Stripe's list of events: where to go on, and what has been read.

The list is newest first, so it is read in *parts*: a stretch of time that is fixed before its first page is read, so that
events that happen meanwhile do not belong to it. ``walked_until`` moves only once a part has been read to its end.
"""

import logging
from datetime import datetime, timedelta

from peewee import fn

from paywindow.models.tables import EventWalk, PaymentSession

logger = logging.getLogger(__name__)

#: Stripe's list reaches back this far, less a margin for clocks (https://docs.stripe.com/api/events/list).
REACH = timedelta(days=30) - timedelta(hours=1)
#: What is younger may still come as a webhook, and is left for the next part.
LAG = timedelta(minutes=1)
#: Each part begins this much before the end of the last one: events may show up in the list after later ones. An event
#: is read again by every part that begins within the overlap, so with more of it that is most of what the walk costs.
OVERLAP = timedelta(minutes=1)


def begin(livemode: bool, at: datetime) -> EventWalk | None:
    """The walk with the part that is to be read now; ``None`` while there is nothing to read.

    The first part of all begins with the first payment session. What lies beyond Stripe's reach is remembered as lost.
    """
    walk: EventWalk | None = EventWalk.select().where(EventWalk.livemode == livemode).for_update().get_or_none()
    if walk is None:
        first = PaymentSession.select(fn.MIN(PaymentSession.created_at)).scalar()
        if first is None:
            return None
        EventWalk.insert(livemode=livemode, walked_until=first - OVERLAP, updated_at=at).on_conflict_ignore().execute()
        walk = EventWalk.select().where(EventWalk.livemode == livemode).for_update().get()
    if walk.part_since is None and not _begin_part(walk, at):
        return None
    return walk


def _begin_part(walk: EventWalk, at: datetime) -> bool:
    until = (at - LAG).replace(microsecond=0)  # Stripe's times are whole seconds
    if until <= walk.walked_until:
        return False
    oldest = at - REACH
    if walk.walked_until < oldest:
        walk.lost_since, walk.lost_until = walk.walked_until, oldest
        logger.error("events of Stripe from %s to %s are out of its reach", walk.lost_since, walk.lost_until)
    walk.part_since, walk.part_until = max(walk.walked_until - OVERLAP, oldest), until
    walk.after_event_id = None
    EventWalk.update(
        part_since=walk.part_since,
        part_until=walk.part_until,
        after_event_id=None,
        lost_since=walk.lost_since,
        lost_until=walk.lost_until,
        updated_at=at,
    ).where(EventWalk.livemode == walk.livemode).execute()
    return True


def advance(walk: EventWalk, after: str | None, *, finished: bool, at: datetime) -> bool:
    """Record that a page was read, the last event of which is ``after``; false when another run was faster."""
    changes = (
        {"walked_until": walk.part_until, "part_since": None, "part_until": None, "after_event_id": None}
        if finished
        else {"after_event_id": after}
    )
    changed: int = (
        EventWalk.update(steps=EventWalk.steps + 1, updated_at=at, **changes)
        .where(EventWalk.livemode == walk.livemode, EventWalk.steps == walk.steps, EventWalk.part_since.is_null(False))
        .execute()
    )
    return changed == 1


def restart_part(walk: EventWalk, at: datetime) -> None:
    """The page to go on from is no longer in the list: read the part from its beginning, as far as the list reaches."""
    EventWalk.update(
        part_since=None, part_until=None, after_event_id=None, steps=EventWalk.steps + 1, updated_at=at
    ).where(EventWalk.livemode == walk.livemode, EventWalk.steps == walk.steps).execute()


def current(livemode: bool) -> EventWalk | None:
    """The walk as it stands, to be looked at."""
    found: EventWalk | None = EventWalk.get_or_none(EventWalk.livemode == livemode)
    return found
