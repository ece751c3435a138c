"""Business time: the one place that says what time it is.

Deadlines, retry times, leases and key ages are compared with :func:`now`, never with SQL's ``now()``, so that a test (or a
rehearsal of an outage) can move all processes at once: with ``PAYWINDOW_CLOCK_FILE`` set, the file holds an offset in
seconds that is added to the real time. Signatures, token lives and queue delays stay on real time. Settings refuse the
variable together with a live Stripe key.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK_FILE_VARIABLE = "PAYWINDOW_CLOCK_FILE"


def now() -> datetime:
    """The current business time, in UTC, to the microsecond."""
    return datetime.now(UTC) + offset()


def offset() -> timedelta:
    """How far business time is ahead of real time; zero unless a clock file says otherwise.

    Raises :class:`ValueError` when the file holds something that is not a number.
    """
    path = os.environ.get(CLOCK_FILE_VARIABLE)
    if not path:
        return timedelta()
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        return timedelta()
    return timedelta(seconds=float(text)) if text.strip() else timedelta()


def set_offset(path: Path, by: timedelta) -> None:
    """Move the clock of every process that reads ``path``. The file is replaced in one step, never seen half written."""
    temporary = path.with_suffix(".new")
    temporary.write_text(repr(by.total_seconds()))
    temporary.replace(path)


def isoformat(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as the API shows it: ``2026-01-31T10:30:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
