"""Years of business in the tables: paid sessions, each with its attempt, its payment and its event, loaded by COPY."""

import io
import os
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg2
from benchmarks.installation import Installation

_AT_ONCE = 20_000
_KNOWN_OF_EACH = 100
#: Long over: the daily comparison with Stripe, which knows nothing of them, does not look back that far.
_YOUNGEST, _SPAN = timedelta(days=60), timedelta(days=730)
_AMOUNT = 27550
_TABLES = {
    "payment_sessions": (
        "id, auction_id, buyer_id, amount_minor, currency, late_policy, window_minutes, livemode, status, version, "
        "attempt_number, expires_at, due_at, stripe_payment_intent_id, completed_at, created_at, updated_at"
    ),
    "checkout_attempts": (
        "id, session_id, number, kind, status, params, idempotency_key, first_called_at, stripe_checkout_id, "
        "stripe_payment_intent_id, page_expires_at, created_at, closed_at"
    ),
    "transactions": (
        "id, session_id, attempt_id, stripe_payment_intent_id, stripe_charge_id, status, amount_minor, currency, "
        "settled_at, stripe_fee_minor, stripe_fee_currency, created_at, processed_at"
    ),
    "stripe_events": (
        "id, type, livemode, payment_intent_id, object_id, body, stripe_created_at, received_at, handled_at, verdict"
    ),
}


def load(installation: Installation, count: int, advance: Callable[[int], None]) -> list[uuid.UUID]:
    """Load as many sessions, with what belongs to them; the ids of some of them, from first to last."""
    starts = range(0, count, _AT_ONCE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shares = [min(_AT_ONCE, count - start) for start in starts]
        some: list[uuid.UUID] = []
        for known, share in zip(pool.map(partial(_load, installation), shares), shares, strict=True):
            some += known
            advance(share)
    installation.database.autocommit = True
    with installation.database.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    installation.database.autocommit = False
    return some


def _load(installation: Installation, count: int) -> list[uuid.UUID]:
    """Load so many in one transaction; the ids of a few."""
    purchases = [_purchase() for _ in range(count)]
    url = installation.stack.environment["DATABASE_URL"]
    with closing(psycopg2.connect(url)) as database, database, database.cursor() as cursor:
        for position, (table, columns) in enumerate(_TABLES.items()):
            rows = io.StringIO("".join(purchase[position] for purchase in purchases))
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", rows)
    return [uuid.UUID(purchase[0].partition("\t")[0]) for purchase in purchases[:_KNOWN_OF_EACH]]


def _purchase() -> tuple[str, ...]:
    """One line for each table."""
    session, attempt, payment, auction, buyer = (f"{random.getrandbits(128):032x}" for _ in range(5))
    created = datetime.now(UTC) - random.random() * _SPAN - _YOUNGEST
    paid, ends = created + timedelta(hours=3), created + timedelta(days=1)
    intent, page, event = f"pi_{payment[:24]}", f"cs_test_{attempt[:24]}", f"evt_{session[:24]}"
    terms = f"{_AMOUNT}\tUSD\trefund\t1440\tf\tcompleted\t4\t1"
    body = f'{{"id": "{event}", "object": "event", "data": {{"object": {{"id": "{page}", "payment_intent": "{intent}"}}}}}}'
    return (
        f"{session}\t{auction}\t{buyer}\t{terms}\t{ends}\t{ends}\t{intent}\t{paid}\t{created}\t{paid}\n",
        f"{attempt}\t{session}\t1\tfirst\tcomplete\t{{}}\tpw-{session}-1\t{created}\t{page}\t{intent}\t{ends}\t{created}\t{paid}\n",
        f"{payment}\t{session}\t{attempt}\t{intent}\tch_{payment[:24]}\tsucceeded\t{_AMOUNT}\tUSD\t{paid}\t829\tUSD\t{paid}\t{paid}\n",
        f"{event}\tcheckout.session.completed\tf\t{intent}\t{page}\t{body}\t{paid}\t{paid}\t{paid}\tapplied\n",
    )
