"""Receipt rows: numbers without gaps, what was stored, and who fetched it.

A number is given out under its counter's row lock, in the transaction that inserts the document: a crash before the commit
takes both back, so no number is skipped or used twice. Receipts, credit notes and sellers' statements count for themselves.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from paywindow.models.tables import (
    PaymentSession,
    Receipt,
    ReceiptCounter,
    ReceiptDownload,
    ReceiptMaker,
    Refund,
    Transaction,
)
from paywindow.receipts.data import Kind, ReceiptData
from paywindow.receipts.numbers import receipt_number, series_name
from paywindow.receipts.storage import StoredObject
from paywindow.settings import Settings


def of_transaction(transaction_id: uuid.UUID, kind: Kind = "receipt") -> Receipt | None:
    """The receipt, or the statement, that a settled transaction already has."""
    return _found(Receipt.transaction == transaction_id, Receipt.kind == kind)


def of_refund(refund: Refund) -> Receipt | None:
    """The credit note that a refund already has."""
    return _found(Receipt.refund == refund.id)


def series_for(kind: Kind, session: PaymentSession, settings: Settings, at: datetime) -> str:
    """The series in which a document of ``session`` that is issued ``at`` is numbered; see :mod:`paywindow.receipts.numbers`."""
    maker: uuid.UUID | None = session.maker_id if settings.receipt_series_per_maker else None
    return series_name(kind, settings, at, None if maker is None else _ordinal(maker))


def issue(
    transaction: Transaction,
    session: PaymentSession,
    series: str,
    at: datetime,
    data: Callable[[str], ReceiptData],
    *,
    kind: Kind = "receipt",
    refund: Refund | None = None,
) -> Receipt:
    """Give the transaction the next number of ``series`` and freeze what its document says, or return what it has.

    ``data`` makes the render data once the number is known. A transaction has one receipt, one statement, and a credit note for
    each ``refund``. The counter is locked first and the document looked for second, so of two runs at once the later one
    finds the earlier one's.
    """
    number = _next_number(series)
    existing = of_transaction(transaction.id, kind) if refund is None else of_refund(refund)
    if existing is not None:
        ReceiptCounter.update(last_number=number - 1).where(ReceiptCounter.series == series).execute()
        return existing
    frozen = data(receipt_number(series, number))
    row: Receipt = Receipt.create(
        id=uuid.uuid4(),
        transaction=transaction,
        session=session,
        refund=refund,
        kind=kind,
        series=series,
        number=number,
        receipt_number=frozen.number,
        buyer_id=session.buyer_id,
        maker_id=session.maker_id,
        auction_id=session.auction_id,
        total_minor=frozen.total if frozen.statement is None else frozen.statement.payout,
        currency=frozen.currency,
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


def downloaded(download_id: uuid.UUID, receipt: Receipt, who: str, at: datetime) -> None:
    """Record that a link to the file was handed to ``who``; once for each ``download_id``."""
    ReceiptDownload.insert(id=download_id, receipt=receipt, who=who, at=at).on_conflict_ignore().execute()


def downloads(receipt: Receipt) -> list[ReceiptDownload]:
    """Who was handed the file, oldest first."""
    query = ReceiptDownload.select().where(ReceiptDownload.receipt == receipt.id)
    return list(query.order_by(ReceiptDownload.at, ReceiptDownload.id))


def by_name(name: str) -> Receipt | None:
    """A document by its id or its number."""
    try:
        return _found(Receipt.id == uuid.UUID(name))
    except ValueError:
        return _found(Receipt.receipt_number == name)


def _found(*conditions: object) -> Receipt | None:
    found: Receipt | None = Receipt.get_or_none(*conditions)
    return found


def _ordinal(maker_id: uuid.UUID) -> int:
    """The maker's short number, given at first use; gaps among these mean nothing."""
    known = ReceiptMaker.get_or_none(ReceiptMaker.maker_id == maker_id)
    if known is None:
        ReceiptMaker.insert(maker_id=maker_id).on_conflict_ignore().execute()
        known = ReceiptMaker.get_by_id(maker_id)
    return int(known.ordinal)


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
