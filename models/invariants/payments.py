"""Sessions, attempts and payments: every one of them has ended or will, and every payment has its place."""

from paywindow.models.invariants.rules import Rule, Scan, awaits

_CURRENT_PAGE = """
    LEFT JOIN checkout_attempts AS page ON page.session_id = it.id AND page.number = it.attempt_number
"""
_OPEN = "it.status IN ('pending', 'failed') AND it.hold_reason IS NULL AND it.released_at IS NULL"

#: What will move a session that is not final. Timers live in ``due_at``; a bank's decision comes as an event.
_EXPLAINED = Rule(
    "session_explained",
    about="it.status IN ('pending', 'processing', 'failed') OR it.hold_reason IS NOT NULL",
    joins=_CURRENT_PAGE,
    wrong=(
        (
            # One that waits for Stripe is put off again and again; at rest nothing waits for Stripe.
            f"{_OPEN} AND CASE WHEN %(at_rest)s THEN LEAST(it.due_at, it.expires_at) ELSE it.due_at END <= %(overdue)s",
            "was due at {LEAST(it.due_at, it.expires_at)}, and nothing came of it",
        ),
        (
            f"{_OPEN} AND it.due_at > GREATEST(it.expires_at + interval '2 minutes', %(postponed)s)",
            "ends at {it.expires_at}, but is looked at no earlier than {it.due_at}",
        ),
        (
            f"{_OPEN} AND it.status = 'pending' AND page.status IN ('complete', 'closed', 'refused') AND it.due_at > %(soon)s",
            "is pending, its page is {page.status}, and it is looked at no earlier than {it.due_at}",
        ),
        ("it.hold_reason IS NULL AND page.id IS NULL", "counts on attempt {it.attempt_number}, which is not there"),
        (
            "it.status IN ('pending', 'processing') AND it.hold_reason IS NULL AND it.released_at IS NOT NULL",
            "is {it.status} although its auction was freed at {it.released_at}",
        ),
        (
            "it.status = 'processing' AND it.hold_reason IS NULL AND NOT EXISTS ("
            "SELECT FROM checkout_attempts WHERE session_id = it.id AND status = 'complete')",
            "is processing, and no page of it was submitted",
        ),
        (
            "it.hold_reason IS NOT NULL AND it.hold_reason <> ALL(%(hold_reasons)s)",
            "is held for {it.hold_reason}, which no rule knows",
        ),
        (
            "it.hold_reason IS NOT NULL AND NOT EXISTS (SELECT FROM notifications AS told WHERE told.session_id = it.id "
            "AND told.type = 'payment.held' AND told.created_at >= it.hold_since)",
            "is held since {it.hold_since} ({it.hold_reason}), and that was not announced",
        ),
    ),
)

_AGREES = Rule(
    "status_agrees",
    joins="""
        CROSS JOIN LATERAL (
            SELECT count(*) AS settled, min(stripe_payment_intent_id) AS intent, bool_or(status <> 'refunded') AS kept
            FROM transactions WHERE session_id = it.id AND settled_at IS NOT NULL
        ) AS money
        LEFT JOIN LATERAL (
            SELECT to_status, version FROM transitions WHERE session_id = it.id ORDER BY version DESC LIMIT 1
        ) AS last ON true
    """,
    wrong=(
        ("it.status = 'completed' AND money.settled = 0", "is completed, and no payment settles it"),
        ("it.status <> 'completed' AND money.settled > 0", "is {it.status}, and a payment settles it"),
        ("money.settled > 1", "is settled by {money.settled} payments"),
        (
            "it.status = 'completed' AND money.settled = 1 AND money.intent IS DISTINCT FROM it.stripe_payment_intent_id",
            "says that {it.stripe_payment_intent_id} paid it, and {money.intent} settles it",
        ),
        (
            "it.status IN ('expired', 'canceled') AND it.released_at IS NULL",
            "is {it.status}, and its auction is not free",
        ),
        (
            "it.status = 'completed' AND it.released_at IS NOT NULL AND money.kept AND it.hold_reason IS NULL",
            "is completed and paid, and its auction is free",
        ),
        ("it.status = 'canceled' AND it.canceled_at IS NULL", "was canceled at no time"),
        (
            "coalesce(last.to_status, 'pending') <> it.status",
            "is {it.status}, and its audit trail ends with {coalesce(last.to_status, 'pending')}",
        ),
        ("last.version > it.version", "is at version {it.version}, and its audit trail at {last.version}"),
    ),
)

_AUCTION = Rule(
    "one_session_an_auction",
    joins="""
        LEFT JOIN LATERAL (
            SELECT min(id::text) AS id FROM payment_sessions AS beside
            WHERE it.released_at IS NULL AND beside.auction_id = it.auction_id AND beside.id <> it.id
                AND beside.released_at IS NULL
        ) AS other ON true
        LEFT JOIN LATERAL (
            SELECT min(beside.id::text) AS id FROM transactions AS mine
            JOIN payment_sessions AS beside ON beside.auction_id = it.auction_id AND beside.id <> it.id
            JOIN transactions AS theirs ON theirs.session_id = beside.id
            WHERE mine.session_id = it.id AND it.hold_reason IS NULL AND beside.hold_reason IS NULL
                AND mine.settled_at IS NOT NULL AND mine.status <> 'refunded'
                AND theirs.settled_at IS NOT NULL AND theirs.status <> 'refunded'
        ) AS paid ON true
    """,
    wrong=(
        ("other.id IS NOT NULL", "has auction {it.auction_id}, and so has session {other.id}"),
        ("paid.id IS NOT NULL", "is paid for auction {it.auction_id}, and so is session {paid.id}"),
    ),
)

_ATTEMPT = Rule(
    "attempt_ended",
    joins="JOIN payment_sessions AS session ON session.id = it.session_id",
    wrong=(
        (
            "it.status IN ('complete', 'closed', 'refused') AND it.closed_at IS NULL",
            "attempt {it.number} of session {it.session_id} is {it.status} since no time",
        ),
        (
            "it.status = 'open' AND (it.number <> session.attempt_number OR session.released_at IS NOT NULL "
            "OR session.status NOT IN ('pending', 'failed')) "
            f"AND NOT {awaits('checkout.close_page', 'attempt_id', 'it.id')}",
            "attempt {it.number} is open, and session {it.session_id} is {session.status}, at attempt {session.attempt_number}",
        ),
        ("it.number > session.attempt_number", "attempt {it.number} of session {it.session_id} was never begun"),
        ("it.status = 'open' AND (it.stripe_checkout_id IS NULL OR it.url IS NULL)", "is open, and has no page"),
    ),
)

SCANS = (
    Scan("payment_sessions", (_EXPLAINED, _AGREES, _AUCTION)),
    Scan("checkout_attempts", (_ATTEMPT,)),
)
