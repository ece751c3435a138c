"""Lists of receipts, credit notes and statements for an operator, the newest first, a page at a time."""

import uuid
from collections.abc import Iterator
from typing import Any

from peewee import Tuple

from paywindow.models.tables import Receipt


def page(
    *,
    unstored: bool = False,
    session_id: uuid.UUID | None = None,
    buyer_id: uuid.UUID | None = None,
    limit: int = 20,
    after: str | None = None,
) -> tuple[list[Receipt], str | None]:
    """Documents by the time of issue, and the number after which the next page begins, if there is one.

    ``after``: the last number of the page before; one that does not exist gives an empty page.
    """
    rows = Receipt.select().order_by(Receipt.issued_at.desc(), Receipt.id.desc())
    if conditions := list(_conditions(unstored, session_id, buyer_id, after)):
        rows = rows.where(*conditions)
    found = list(rows.limit(limit + 1))
    return found[:limit], found[limit - 1].receipt_number if len(found) > limit else None


def _conditions(
    unstored: bool, session_id: uuid.UUID | None, buyer_id: uuid.UUID | None, after: str | None
) -> Iterator[Any]:
    if unstored:
        yield Receipt.stored_at.is_null()
    if session_id is not None:
        yield Receipt.session == session_id
    if buyer_id is not None:
        yield Receipt.buyer_id == buyer_id
    if after is not None:
        last = Receipt.select(Receipt.issued_at, Receipt.id).where(Receipt.receipt_number == after)
        yield Tuple(Receipt.issued_at, Receipt.id) < last
