"""Windows by the thousand: real pages opened at the sandbox, rows loaded by COPY, and what became of them."""

import asyncio
import io
import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from benchmarks.harness import Bench
from benchmarks.installation import Installation

from paywindow import ids

_AT_ONCE = 8
_PAGE_LIFE = timedelta(hours=2)
_AMOUNT = 27550


@dataclass(frozen=True, slots=True)
class Page:
    """A Checkout Session that is open at the sandbox for a payment session that is not in the tables yet."""

    session_id: uuid.UUID
    checkout_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """A window that was closed: when it should have been, when it was, and how often Stripe could not be asked before."""

    deadline: datetime
    at: datetime
    tries: int

    @property
    def late_seconds(self) -> float:
        """How long after its deadline."""
        return (self.at - self.deadline).total_seconds()


class Windows:
    """A set of windows that are measured together; in the tables they are known by their common buyer.

    Open the pages (slow), load the rows with their deadlines (quick), wait until all are closed, read the closings.
    """

    def __init__(self, bench: Bench, count: int, what: str):
        self._installation, self._progress = bench.installation, bench.progress
        self.buyer = uuid.uuid4().hex
        self._task = self._progress.add_task(f"{what}: opening pages", total=count)
        self._what = what
        self.pages = _open_pages(self._installation, count, lambda: self._progress.advance(self._task))

    def load(self, deadlines: Sequence[datetime]) -> None:
        """Put the sessions into the tables, in one transaction, one for each page."""
        pairs = list(zip(self.pages, deadlines, strict=True))
        with self._installation.database as database, database.cursor() as cursor:
            cursor.copy_expert(_COPY_SESSIONS, _text(_session(page, self.buyer, deadline) for page, deadline in pairs))
            cursor.copy_expert(_COPY_ATTEMPTS, _text(_attempt(page) for page in self.pages))
            cursor.execute("ANALYZE payment_sessions, checkout_attempts")
        self._progress.reset(self._task, description=f"{self._what}: closing windows", total=len(self.pages))

    def open(self) -> int:
        """How many are not closed yet."""
        ((count,),) = self._installation.query(
            "SELECT count(*) FROM payment_sessions WHERE buyer_id = %s AND status = 'pending'", self.buyer
        )
        self._progress.update(self._task, completed=len(self.pages) - count)
        return int(count)

    def pay(self) -> None:
        """Have every page paid, and wait until each payment is settled."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda page: self._installation.sandbox.pay(page.checkout_id), self.pages))
        self._installation.wait(lambda: self.open() == 0, "the payments to be settled")
        self.forget()

    def call_off(self) -> None:
        """Let those that are still open have another day, so that nobody closes them."""
        self._installation.query(
            "UPDATE payment_sessions SET expires_at = now() + interval '1 day', due_at = now() + interval '1 day' "
            "WHERE buyer_id = %s AND status = 'pending'",
            self.buyer,
        )
        self.forget()

    def forget(self) -> None:
        """No more to be seen of their progress."""
        self._progress.remove_task(self._task)

    def wait(self) -> list[Closing]:
        """Wait until all are closed; the closings in the order in which they happened."""
        self._installation.wait(lambda: self.open() == 0, "the windows to be closed")
        rows = self._installation.query(_CLOSINGS, self.buyer)
        if len(rows) != len(self.pages):
            raise AssertionError(f"{len(self.pages) - len(rows)} windows ended otherwise than by their deadline")
        self.forget()
        return [Closing(*row) for row in rows]


def _open_pages(installation: Installation, count: int, opened: Callable[[], None]) -> list[Page]:
    installation.limit(None)
    pages = asyncio.run(_open_all(installation, count, opened))
    installation.restore_limit()
    return pages


async def _open_all(installation: Installation, count: int, opened: Callable[[], None]) -> list[Page]:
    headers = {"Authorization": f"Bearer {installation.stack.environment['STRIPE_SECRET_KEY']}"}
    url = f"{installation.stack.sandbox_url}/v1/checkout/sessions"
    turn = asyncio.Semaphore(_AT_ONCE)
    expires_at = int(time.time() + _PAGE_LIFE.total_seconds())

    async def open_one(client: aiohttp.ClientSession) -> Page:
        session_id = uuid.uuid4()
        form = page_form(session_id, expires_at)
        async with turn, client.post(url, data=form) as answer:
            answer.raise_for_status()
            found = await answer.json()
        opened()
        return Page(session_id, found["id"], found["url"], datetime.fromtimestamp(found["expires_at"], UTC))

    async with aiohttp.ClientSession(headers=headers) as client:
        return await asyncio.gather(*(open_one(client) for _ in range(count)))


def page_form(session_id: uuid.UUID, expires_at: int) -> dict[str, str]:
    """What opens a Checkout page at Stripe (https://docs.stripe.com/api/checkout/sessions/create)."""
    return {
        "mode": "payment",
        "success_url": "https://auctions.example/paid",
        "expires_at": str(expires_at),
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": str(_AMOUNT),
        "line_items[0][price_data][product_data][name]": "Walnut side table",
        "metadata[payment_session_id]": str(session_id),
        "metadata[attempt]": "1",
    }


_COPY_SESSIONS = """
COPY payment_sessions (id, auction_id, buyer_id, amount_minor, currency, late_policy, window_minutes, livemode, status,
    attempt_number, expires_at, due_at, created_at, updated_at) FROM STDIN
"""
_COPY_ATTEMPTS = """
COPY checkout_attempts (id, session_id, number, kind, status, params, idempotency_key, first_called_at,
    stripe_checkout_id, url, page_expires_at, created_at) FROM STDIN
"""
_CLOSINGS = """
SELECT expires_at, at, due_tries FROM payment_sessions JOIN transitions ON session_id = payment_sessions.id
WHERE buyer_id = %s AND event = 'window_closed' ORDER BY at
"""


def _session(page: Page, buyer: str, deadline: datetime) -> tuple[object, ...]:
    auction, created = uuid.uuid4(), deadline - timedelta(minutes=30)
    terms = (_AMOUNT, "USD", "refund", 30, "f", "pending", 1)
    return page.session_id, auction, buyer, *terms, deadline, deadline, created, created


def _attempt(page: Page) -> tuple[object, ...]:
    created = page.expires_at - _PAGE_LIFE
    stripe = (page.checkout_id, page.url, page.expires_at)
    key = ids.checkout_key(page.session_id, 1)
    return uuid.uuid4(), page.session_id, 1, "first", "open", json.dumps({}), key, created, *stripe, created


def _text(rows: Iterable[tuple[object, ...]]) -> io.StringIO:
    return io.StringIO("".join("\t".join(map(str, row)) + "\n" for row in rows))
