"""Sessions whose snapshots are worth having before anybody asks for them: the open ones, and those that ended lately.

Read status by status in the order of creation, which is an index's (migration 0004), so that a page costs the same among
millions of finished sessions.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import Tuple

from paywindow.models.database import transaction
from paywindow.models.tables import PaymentSession
from paywindow.states import Status

_OPEN = (Status.PENDING, Status.PROCESSING, Status.FAILED)


def count(since: datetime) -> int:
    """How many sessions are open, or were created since ``since``."""
    with transaction():
        return sum(PaymentSession.select().where(*_wanted(status, since)).count() for status in Status)


def pages(since: datetime, limit: int) -> Iterator[list[PaymentSession]]:
    """All of them, ``limit`` to a page, each page read by a transaction of its own."""
    key = Tuple(PaymentSession.created_at, PaymentSession.id)
    for status in Status:
        beyond: tuple[Any, ...] = ()
        while True:
            rows = PaymentSession.select().where(*_wanted(status, since), *beyond)
            with transaction():
                page = list(rows.order_by(PaymentSession.created_at, PaymentSession.id).limit(limit))
            if page:
                yield page
            if len(page) < limit:
                break
            beyond = (key > Tuple(page[-1].created_at, page[-1].id),)


def _wanted(status: Status, since: datetime) -> Iterator[Any]:
    yield PaymentSession.status == status.value
    if status not in _OPEN:
        yield PaymentSession.created_at >= since
