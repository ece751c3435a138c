"""Sessions whose snapshots are worth having before anybody asks for them."""

import uuid
from datetime import datetime

from paywindow.models.tables import PaymentSession


def count(since: datetime) -> int:
    """How many sessions are unreleased or have changed since ``since``."""
    found: int = PaymentSession.select().where(_wanted(since)).count()
    return found


def page(since: datetime, after: uuid.UUID, limit: int) -> list[PaymentSession]:
    """The next of these sessions with an id greater than ``after``, in the order of their ids."""
    rows = PaymentSession.select().where(_wanted(since), PaymentSession.id > after)
    return list(rows.order_by(PaymentSession.id).limit(limit))


def _wanted(since: datetime) -> object:
    return PaymentSession.released_at.is_null() | (PaymentSession.updated_at >= since)
