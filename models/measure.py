"""How much work waits in Postgres, and since when.

Each question is about unfinished rows and is answered by the partial index that holds nothing else, up to a bound, so that
asking every few seconds costs next to nothing with millions of finished rows, and little in the middle of a jam.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from paywindow.measurements import COUNTED_UP_TO, Measurement
from paywindow.models.database import database
from paywindow.models.windows import LONGEST_POSTPONEMENT
from paywindow.states import HOLD_REASONS, Status

_ACTIVE = """
SELECT status, count(*), 0 FROM (
    SELECT status FROM payment_sessions
    WHERE status IN ('pending', 'failed') AND hold_reason IS NULL AND released_at IS NULL LIMIT %(limit)s
) AS open GROUP BY status
UNION ALL
SELECT 'processing', count(*), 0 FROM (
    SELECT FROM payment_sessions WHERE status = 'processing' AND hold_reason IS NULL LIMIT %(limit)s
) AS submitted
"""

_HELD = """
SELECT hold_reason, count(*), min(hold_since) FROM (
    SELECT hold_reason, hold_since FROM payment_sessions WHERE hold_reason IS NOT NULL LIMIT %(limit)s
) AS held GROUP BY hold_reason
"""

#: Kind of row -> its query for one column ``since``: from when on the row waits. The order lets the bound cut off the youngest.
PENDING: dict[str, str] = {
    "inbox": """
        SELECT received_at AS since FROM stripe_events
        WHERE handled_at IS NULL AND parked_at IS NULL LIMIT %(limit)s""",
    "inbox_parked": """
        SELECT parked_at AS since FROM stripe_events WHERE parked_at IS NOT NULL ORDER BY parked_at LIMIT %(limit)s""",
    # Segment may be away for hours without anybody having to get up: its events are counted apart.
    "outbox": """
        SELECT created_at AS since FROM (
            SELECT actor, created_at FROM outbox ORDER BY id LIMIT %(limit)s) AS oldest WHERE actor <> 'analytics.track'""",
    "analytics": """
        SELECT created_at AS since FROM (
            SELECT actor, created_at FROM outbox ORDER BY id LIMIT %(limit)s) AS oldest WHERE actor = 'analytics.track'""",
    "notifications": """
        SELECT created_at AS since FROM notification_deliveries
        WHERE next_try_at IS NOT NULL ORDER BY created_at LIMIT %(limit)s""",
    # Of the last day: older ones are in the list, and nobody has to be told of them again.
    "notifications_dead": """
        SELECT dead_at AS since FROM notification_deliveries
        WHERE dead_at > %(now)s::timestamptz - interval '1 day' ORDER BY dead_at LIMIT %(limit)s""",
    "attempts": "SELECT created_at AS since FROM checkout_attempts WHERE status = 'claimed' LIMIT %(limit)s",
    "operations": "SELECT created_at AS since FROM operations WHERE outcome IS NULL LIMIT %(limit)s",
    "refunds": "SELECT created_at AS since FROM refunds WHERE status = 'claimed' LIMIT %(limit)s",
    "movements": "SELECT created_at AS since FROM seller_movements WHERE status = 'claimed' LIMIT %(limit)s",
    # What a seller is due, or has too much, and Stripe would not move. One that is being tried anew still counts.
    "shares_refused": """
        SELECT refused.finished_at AS since FROM seller_movements AS refused
        JOIN transactions AS paid ON paid.id = refused.transaction_id
        WHERE refused.status = 'refused' AND paid.share_due_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM seller_movements AS later
            WHERE later.transaction_id = refused.transaction_id AND later.number > refused.number
                AND later.status <> 'claimed') LIMIT %(limit)s""",
    # Evidence has to be sent by an operator, in Stripe's dashboard.
    "disputes": """
        SELECT evidence_due_at - interval '3 days' AS since FROM disputes
        WHERE closed_at IS NULL AND evidence_due_at <= %(now)s::timestamptz + interval '3 days'
            AND status IN ('needs_response', 'warning_needs_response') LIMIT %(limit)s""",
    # Claimed and postponed windows are due again a little later; what they wait for is in the past all the same.
    "windows": """
        SELECT LEAST(due_at, expires_at) AS since FROM payment_sessions
        WHERE status IN ('pending', 'failed') AND hold_reason IS NULL AND released_at IS NULL
            AND due_at <= %(horizon)s AND LEAST(due_at, expires_at) <= %(now)s
        ORDER BY due_at LIMIT %(limit)s""",
    # A settled payment has its receipt issued by an outbox row that goes in the commit that inserts the receipt.
    "receipts": """
        (SELECT created_at AS since FROM (
            SELECT actor, created_at FROM outbox ORDER BY id LIMIT %(limit)s) AS oldest WHERE actor = 'receipts.issue')
        UNION ALL
        (SELECT issued_at AS since FROM receipts WHERE stored_at IS NULL ORDER BY issued_at LIMIT %(limit)s)""",
}

# Shown as 0 when there is none.
_STATUSES = [status.value for status in (Status.PENDING, Status.PROCESSING, Status.FAILED)]
_HOLDS = sorted(HOLD_REASONS)

_Row = tuple[str, int, datetime | None]


def everything(at: datetime) -> Measurement:
    """Measure, in the current transaction, what waits at ``at`` (business time)."""
    active = dict.fromkeys(_STATUSES, 0.0) | {status: float(count) for status, count, _ in _ask(_ACTIVE, at)}
    held = list(_ask(_HELD, at))
    pending = [(kind, *_pending(kind, at)) for kind in PENDING]
    none = dict.fromkeys(_HOLDS, 0.0)
    return {
        "payments_checkout_sessions_active": active,
        "payments_checkout_sessions_held": none | {reason: float(count) for reason, count, _ in held},
        "payments_hold_oldest_age_seconds": none | {reason: _age(since, at) for reason, _, since in held},
        "payments_pending_rows": {kind: count for kind, count, _ in pending},
        "payments_pending_oldest_age_seconds": {kind: _age(since, at) for kind, _, since in pending},
    }


def _pending(kind: str, at: datetime) -> tuple[int, datetime | None]:
    ((_, count, since),) = _ask(f"SELECT '{kind}', count(*), min(since) FROM ({PENDING[kind]}) AS waiting", at)  # noqa: S608
    return count, since


def _ask(query: str, at: datetime) -> Iterator[_Row]:
    parameters = {"limit": COUNTED_UP_TO, "now": at, "horizon": at + LONGEST_POSTPONEMENT}
    yield from database.execute_sql(query, parameters).fetchall()


def _age(since: datetime | None, at: datetime) -> float:
    return 0.0 if since is None else max((at - since) / timedelta(seconds=1), 0.0)
