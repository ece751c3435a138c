"""Whether the documents are what they should be: every series without a gap, every settlement with its receipt."""

from collections.abc import Iterator
from dataclasses import dataclass

from peewee import SQL

from paywindow.models.database import database, transaction
from paywindow.models.tables import Receipt
from paywindow.receipts.numbers import receipt_number

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. ``about``: the series, number or id that it is true of."""

    about: str
    problem: str


@dataclass(frozen=True, slots=True)
class Series:
    """One series: ``last`` is the counter, ``count`` the documents there are, ``missing`` the numbers between without one."""

    name: str
    last: int
    count: int
    missing: list[int]

    def findings(self) -> Iterator[Finding]:
        """What is wrong with it."""
        for number in self.missing:
            yield Finding(receipt_number(self.name, number), "was given out, and no document has it")
        surplus = self.count - (self.last - len(self.missing))
        if surplus:
            yield Finding(self.name, f"has {surplus} documents beyond its counter, which stands at {self.last}")


# One statement, so that counter and documents are of one moment.
_SERIES = """
WITH named AS (SELECT series FROM receipt_counters UNION SELECT series FROM receipts)
SELECT named.series, coalesce(counter.last_number, 0),
    (SELECT count(*) FROM receipts WHERE receipts.series = named.series),
    ARRAY(
        SELECT wanted FROM generate_series(1, counter.last_number) AS wanted
        EXCEPT SELECT number FROM receipts WHERE receipts.series = named.series
        ORDER BY 1
    )
FROM named LEFT JOIN receipt_counters AS counter ON counter.series = named.series
ORDER BY named.series
"""

# A follow-up that is still in the outbox is not lost: it will be done.
_WITHOUT_RECEIPT = """
SELECT transactions.id::text, EXISTS (
    SELECT FROM outbox WHERE outbox.actor = 'receipts.issue' AND outbox.arguments LIKE '%%' || transactions.id::text || '%%'
)
FROM transactions
WHERE settled_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM receipts WHERE receipts.transaction_id = transactions.id AND kind = 'receipt')
"""


def series() -> list[Series]:
    """All series with their gaps."""
    with transaction():
        return [Series(*row) for row in database.execute_sql(_SERIES).fetchall()]


def settled_without_receipt() -> tuple[list[Finding], int]:
    """Settlements that will never get a receipt, and how many are about to."""
    with transaction():
        rows = database.execute_sql(_WITHOUT_RECEIPT).fetchall()
    lost = [
        Finding(identifier, "is settled and has no receipt, nor will it get one")
        for identifier, coming in rows
        if not coming
    ]
    return lost, len(rows) - len(lost)


def count() -> int:
    """How many documents there are."""
    with transaction():
        return int(Receipt.select().count())


def documents() -> Iterator[list[Receipt]]:
    """All documents, a page at a time, each page read by a transaction of its own."""
    after = ("", 0)
    while True:
        with transaction():
            page = list(
                Receipt.select()
                .where(SQL("(series, number) > (%s, %s)", after))
                .order_by(Receipt.series, Receipt.number)
                .limit(_PAGE)
            )
        if not page:
            return
        yield page
        after = (page[-1].series, page[-1].number)
