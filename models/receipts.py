"""Receipt rows: numbers without gaps, and what was stored.

A number is given out under its counter's row lock, in the transaction that inserts the receipt: a crash before the commit
takes both back, so no number is skipped or used twice.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from paywindow.models.tables import PaymentSession, Receipt, ReceiptCounter, Transaction
from paywindow.receipts.data import ReceiptData
from paywindow.receipts.storage import StoredObject


def of_transaction(transaction_id: uuid.UUID) -> Receipt | None:
    """The receipt that a settled transaction already has."""
    found: Receipt | None = Receipt.get_or_none(Receipt.transaction == transaction_id, Receipt.kind == "receipt")
    return found


def issue(
    transaction: Transaction, session: PaymentSession, series: str, at: datetime, data: Callable[[str], ReceiptData]
) -> Receipt:
    """Give the transaction the next number of ``series`` and freeze what its receipt says, or return what it has.

    ``data`` makes the render data once the number is known. The counter is locked first and the receipt looked for
    second, so of two runs at once the later one finds the earlier one's receipt.
    """
    number = _next_number(series)
    existing = of_transaction(transaction.id)
    if existing is not None:
        ReceiptCounter.update(last_number=number - 1).where(ReceiptCounter.series == series).execute()
        return existing
    receipt_number = f"{series}-{number:06}"
    frozen = data(receipt_number)
    row: Receipt = Receipt.create(
        id=uuid.uuid4(),
        transaction=transaction,
        session=session,
        kind="receipt",
        series=series,
        number=number,
        receipt_number=receipt_number,
        buyer_id=session.buyer_id,
        maker_id=session.maker_id,
        auction_id=session.auction_id,
        total_minor=transaction.amount_minor,
        currency=transaction.currency,
        render_data=frozen.to_json(),
        template_version=frozen.template_version,
        issued_at=at,
    )
    return row


def stored(receipt_id: uuid.UUID, found: StoredObject, at: datetime) -> bool:
    """Record the stored file; false when another run already did."""
    changed: int = (
        Receipt.update(
            storage_key=found.key,
            storage_version_id=found.version_id,
            sha256=found.sha256,
            size_bytes=found.size,
            stored_at=at,
        )
        .where(Receipt.id == receipt_id, Receipt.stored_at.is_null())
        .execute()
    )
    return changed == 1


def _next_number(series: str) -> int:
    rows = (
        ReceiptCounter.insert(series=series, last_number=1)
        .on_conflict(
            conflict_target=[ReceiptCounter.series], update={ReceiptCounter.last_number: ReceiptCounter.last_number + 1}
        )
        .returning(ReceiptCounter.last_number)
        .execute()
    )
    return int(next(iter(rows)).last_number)
