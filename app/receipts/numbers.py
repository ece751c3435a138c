"""How documents are numbered: ``R-2026-000123``.

A series is what counts from one without a gap. Its name says what kind of document it numbers (the prefix), for whom, and the
year in the configured zone: ``R-2026``; ``R-SHOP-2026`` with ``RECEIPT_SERIES=SHOP``; ``R-M7-2026`` for the seventh maker with
``RECEIPT_SERIES_PER_MAKER``.
"""

from datetime import datetime

from paywindow.receipts.data import Kind
from paywindow.settings import Settings


def series_name(kind: Kind, settings: Settings, at: datetime, maker: int | None = None) -> str:
    """The series of a document issued ``at``. ``maker``: the short number of the maker whose own series it is."""
    prefixes: dict[Kind, str] = {
        "receipt": settings.receipt_prefix,
        "credit_note": settings.receipt_credit_note_prefix,
        "statement": settings.receipt_statement_prefix,
    }
    year = str(at.astimezone(settings.timezone).year)
    parts = (prefixes[kind], settings.receipt_series, None if maker is None else f"M{maker}", year)
    return "-".join(part for part in parts if part)


def receipt_number(series: str, number: int) -> str:
    """What is printed: six digits, or more when a series has grown beyond them."""
    return f"{series}-{number:06}"
