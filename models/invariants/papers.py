"""Documents and notifications: what a payment entitles to is there, or is about to come."""

from paywindow.models.invariants.rules import Rule, Scan, awaits

_ISSUED = Rule(
    "receipt_issued",
    about="it.settled_at IS NOT NULL",
    joins="""
        JOIN payment_sessions AS session ON session.id = it.session_id
        LEFT JOIN receipts AS receipt ON receipt.transaction_id = it.id AND receipt.kind = 'receipt'
        LEFT JOIN receipts AS statement ON statement.transaction_id = it.id AND statement.kind = 'statement'
    """,
    wrong=(
        (
            "(receipt.total_minor, receipt.currency) <> (it.amount_minor, it.currency)",
            "has a receipt over {receipt.total_minor} {receipt.currency}, and came to {it.amount_minor} {it.currency}",
        ),
        # A split sale's statement waits for Stripe's fee, after which figures.read asks for it.
        (
            "session.maker_id IS NOT NULL AND receipt.id IS NOT NULL AND statement.id IS NULL "
            "AND (session.split IS NULL OR it.stripe_fee_minor IS NOT NULL) "
            f"AND NOT {awaits('receipts.issue_statement', 'transaction_id', 'it.id')} "
            f"AND NOT {awaits('figures.read', 'transaction_id', 'it.id')}",
            "has no statement for the seller, nor will it get one",
        ),
    ),
)

_CREDITED = Rule(
    "receipt_issued",
    about="it.status = 'succeeded' AND paid.settled_at IS NOT NULL",
    joins="""
        JOIN transactions AS paid ON paid.id = it.transaction_id
        LEFT JOIN receipts AS note ON note.refund_id = it.id
    """,
    wrong=(
        (
            f"note.id IS NULL AND NOT {awaits('receipts.issue_credit_note', 'refund_id', 'it.id')}",
            "refund of {it.amount_minor} {it.currency} has no credit note, nor will it get one",
        ),
        (
            "(note.total_minor, note.currency) <> (it.amount_minor, it.currency)",
            "refund of {it.amount_minor} {it.currency} has a credit note over {note.total_minor} {note.currency}",
        ),
    ),
)

_DRAWN = Rule(
    "receipt_issued",
    subject="it.receipt_number",
    about="it.stored_at IS NULL",
    wrong=(
        ("%(at_rest)s", "is not drawn"),
        (
            f"NOT %(at_rest)s AND NOT {awaits('receipts.render', 'receipt_id', 'it.id')}",
            "is not drawn, nor will it be",
        ),
    ),
)

_RECORDED = Rule(
    "receipt_stored",
    subject="it.receipt_number",
    about="it.stored_at IS NOT NULL",
    wrong=(("it.storage_key IS NULL OR it.size_bytes IS NULL", "is stored, and nobody knows where"),),
)

_DELIVERED = Rule(
    "notification_delivered",
    joins="""
        CROSS JOIN LATERAL (
            SELECT
                count(*) AS sinks,
                count(*) FILTER (WHERE delivered_at IS NULL) AS missing,
                min(sink) FILTER (WHERE next_try_at IS NOT NULL) AS waiting,
                min(next_try_at) FILTER (WHERE next_try_at <= %(overdue)s) AS overdue,
                min(sink) FILTER (WHERE dead_at IS NOT NULL) AS dead,
                bool_or(dead_at IS NOT NULL AND last_error IS NULL) AS untold
            FROM notification_deliveries WHERE notification_id = it.id
        ) AS ways
        CROSS JOIN (SELECT min(created_at) AS at FROM notification_deliveries) AS first
    """,
    wrong=(
        # What was told before there was any sink was not told to one.
        (
            "%(told)s AND ways.sinks = 0 AND it.created_at >= first.at "
            f"AND NOT {awaits('notifications.deliver', 'notification_id', 'it.id')}",
            "{it.type} of session {it.session_id} was handed to no sink",
        ),
        ("ways.overdue IS NOT NULL", "{it.type} was to be delivered to {ways.waiting} at {ways.overdue}"),
        (
            "%(at_rest)s AND ways.waiting IS NOT NULL AND ways.overdue IS NULL",
            "{it.type} is not delivered to {ways.waiting}",
        ),
        ("%(at_rest)s AND ways.dead IS NOT NULL", "{it.type} was given up for {ways.dead}"),
        ("ways.untold AND NOT %(at_rest)s", "{it.type} was given up for {ways.dead}, and nothing says why"),
        (
            "(it.delivered_at IS NULL AND ways.sinks > 0 AND ways.missing = 0) "
            "OR (it.delivered_at IS NOT NULL AND ways.missing > 0)",
            "{it.type} says it was delivered at {it.delivered_at}, and of {ways.sinks} sinks {ways.missing} lack it",
        ),
    ),
)

SCANS = (
    Scan("transactions", (_ISSUED,), condition="settled_at IS NOT NULL"),
    Scan("refunds", (_CREDITED,)),
    Scan("receipts", (_DRAWN, _RECORDED)),
    Scan("notifications", (_DELIVERED,)),
)
