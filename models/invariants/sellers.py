"""What sellers are due is what they have, or is waited for with a date.

The sums are :func:`paywindow.models.shares.owed`'s own, so split payments are looked at one by one.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from peewee import SQL

from paywindow.invariants import Tally
from paywindow.models import shares
from paywindow.models.database import transaction
from paywindow.models.invariants.rules import BATCH, awaits
from paywindow.models.tables import PaymentSession, Transaction
from paywindow.money import Money

_FIRST = uuid.UUID(int=0)


def count() -> int:
    """How many payments are split."""
    with transaction():
        return int(_split(_FIRST).count())


def go_through(tally: Tally) -> Iterator[int]:
    """Look at every split payment; yields how many each batch had."""
    after = _FIRST
    while True:
        with transaction():
            rows = list(_split(after).order_by(Transaction.id).limit(BATCH))
            tally.add(len(rows), filter(None, map(_wrong, rows)))
        if not rows:
            return
        yield len(rows)
        after = rows[-1].id


def _split(after: uuid.UUID) -> Any:
    """Payments of which a seller gets a share; of those that we collect, the settled ones."""
    has_share = (PaymentSession.split == shares.DESTINATION) | Transaction.settled_at.is_null(False)
    return (
        Transaction.select(Transaction, PaymentSession)
        .join(PaymentSession)
        .where(Transaction.id > after, Transaction.status != "failed", PaymentSession.split.is_null(False), has_share)
    )


def _wrong(paid: Transaction) -> tuple[str, str] | None:
    owed = shares.owed(paid, paid.session)
    if owed == 0 or _waited_for(paid):
        return None
    way = "is still due to the seller" if owed > 0 else "is still to be taken back from the seller"
    return str(paid.id), f"{Money(abs(owed), paid.currency)} {way}, and nobody will see to it"


def _waited_for(paid: Transaction) -> bool:
    """Read anew: a worker may have seen to it between two of our statements."""
    still = Transaction.select().where(
        Transaction.id == paid.id,
        Transaction.share_due_at.is_null(False)
        | SQL(awaits("sellers.settle_up", "transaction_id", '"t1"."id"'))
        | SQL(awaits("figures.read", "transaction_id", '"t1"."id"')),
    )
    return bool(still.exists())
