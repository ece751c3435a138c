"""``sweeps.card_numbers`` (scheduler): once a day, every text in the database is looked through for card numbers.

None may be there: buyers type them on Stripe's pages. But they write them into descriptions and names, too. Calls nobody and
changes nothing but the record of the scan; a page is one short transaction, and of two runs one goes on.
"""

import logging
import uuid
from datetime import timedelta

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.messages import build
from paywindow.models import card_scans
from paywindow.models.database import send_after_commit, transaction
from paywindow.models.tables import CardScan

logger = logging.getLogger(__name__)

#: Pages that one run reads at most; then others get their turn.
STEPS = 20
_PAUSE = timedelta(seconds=1)


@actor("sweeps.card_numbers")
def scan() -> None:
    """Go on with the daily scan, or begin it when a day has passed."""
    with transaction():
        found = card_scans.due(clock.now())
        _show()
    if found is not None and all(step(found.id) for _ in range(STEPS)):
        with transaction():
            send_after_commit(build("sweeps.card_numbers"), delay=_PAUSE)


def step(scan_id: uuid.UUID) -> bool:
    """Read the next page; false when there is none, or another run is reading it."""
    with transaction():
        found: CardScan = CardScan.get_by_id(scan_id)
        if found.finished_at is not None:
            return False
        # From where it stopped on; a table that is gone meanwhile is passed over.
        left = [source for source in card_scans.sources() if source.table >= (found.table_name or "")]
        source, following = left[0], left[1] if len(left) > 1 else None
        page = card_scans.read(source, found.after if source.table == found.table_name else None)
    with transaction():
        moved = card_scans.advance(found, source, page, following, clock.now())
        finished = page.after is None and following is None
        if moved and finished:
            _show()
    for find in page.finds if moved else ():
        logger.error("a card number is in %s.%s of the row %s", find.table, find.column, find.row)
    return moved and not finished


def _show() -> None:
    """Tell the metrics what the last scan found."""
    last = card_scans.last_finished()
    if last is None:
        return
    counts = card_scans.counts(last)
    for source in card_scans.sources():
        metrics.CARD_NUMBERS.labels(source.table).set(counts.get(source.table, 0))
    metrics.CARD_SCAN_FINISHED.set(last.finished_at.timestamp())
