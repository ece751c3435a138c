"""Payments and refunds: each has its place, and its sums are right.

``amount = refunded + disputed + platform's fee + seller's payout`` (docs/architecture.md). Stripe's own fee is the platform's
and no part of that sum.
"""

from paywindow.models.invariants.rules import Rule, Scan, awaits

# Money that is on its way back or may be, what has really gone, and what Stripe counts as gone (models/refunds.py).
_RETURNED = """
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(amount_minor) FILTER (WHERE status NOT IN ('failed', 'canceled')), 0) AS reserved,
            coalesce(sum(amount_minor) FILTER (WHERE status IN ('pending', 'requires_action', 'succeeded')), 0) AS counted,
            coalesce(sum(amount_minor) FILTER (WHERE status = 'succeeded'), 0) AS gone,
            min(currency) FILTER (WHERE currency <> it.currency) AS other_currency
        FROM refunds WHERE transaction_id = it.id
    ) AS returned
    JOIN payment_sessions AS session ON session.id = it.session_id
"""
_PAID = "it.status <> 'failed'"

_PLACED = Rule(
    "payment_placed",
    about=_PAID,
    joins=_RETURNED,
    wrong=(
        (
            "it.settled_at IS NULL AND returned.reserved < it.amount_minor AND session.hold_reason IS NULL "
            f"AND NOT {awaits('payment.take_back', 'transaction_id', 'it.id')}",
            "payment {it.stripe_payment_intent_id} of session {it.session_id}: of {it.amount_minor} {it.currency}, "
            "{returned.reserved} go back; the rest settles nothing, and the session is {session.status} and not held",
        ),
    ),
)

_HAS_STATUS = """
    CASE WHEN returned.gone >= it.amount_minor THEN 'refunded' WHEN returned.gone > 0 THEN 'partially_refunded'
    ELSE 'succeeded' END
"""

_MOVED = """
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_minor) FILTER (WHERE kind = 'transfer'), 0)
            - coalesce(sum(amount_minor) FILTER (WHERE kind = 'reversal'), 0) AS sent
        FROM seller_movements WHERE transaction_id = it.id AND status = 'done'
    ) AS moved
"""

_ADDS_UP = Rule(
    "money_adds_up",
    about=_PAID,
    joins=_RETURNED + _MOVED,
    wrong=(
        ("it.amount_minor <= 0", "is over {it.amount_minor} {it.currency}"),
        ("it.currency !~ '^[A-Z]{3}$'", "is in {it.currency}, which is no currency"),
        (
            "returned.counted > it.amount_minor",
            "of {it.amount_minor} {it.currency}, {returned.counted} were given back",
        ),
        ("returned.other_currency IS NOT NULL", "paid in {it.currency}, refunded in {returned.other_currency}"),
        (f"it.status <> {_HAS_STATUS}", "is {it.status}, and {returned.gone} of {it.amount_minor} went back"),
        (
            "it.settled_at IS NOT NULL AND (it.amount_minor, it.currency) <> (session.amount_minor, session.currency) "
            "AND NOT EXISTS (SELECT FROM transitions WHERE transitions.session_id = it.session_id AND event = 'resolve_accept')",
            "settles {session.amount_minor} {session.currency} with {it.amount_minor} {it.currency}, and nobody accepted that",
        ),
        (
            "it.platform_fee_minor NOT BETWEEN 0 AND it.amount_minor",
            "the platform's fee is {it.platform_fee_minor} of {it.amount_minor}",
        ),
        (
            "it.platform_fee_returned_minor > coalesce(it.platform_fee_minor, 0)",
            "{it.platform_fee_returned_minor} of a fee of {it.platform_fee_minor} were given back",
        ),
        (
            "it.settled_at IS NOT NULL AND it.currency = session.currency AND session.platform_fee_minor IS NOT NULL "
            "AND it.platform_fee_minor IS NULL",
            "has no platform's fee, and {session.platform_fee_minor} were agreed",
        ),
        (
            "it.transferred_minor - it.transfer_reversed_minor NOT BETWEEN 0 AND it.amount_minor",
            "of {it.amount_minor}, the seller was sent {it.transferred_minor} and {it.transfer_reversed_minor} were taken back",
        ),
        (
            "session.split = 'collect' AND it.transferred_minor - it.transfer_reversed_minor <> moved.sent",
            "the seller has {it.transferred_minor - it.transfer_reversed_minor}, and the movements come to {moved.sent}",
        ),
        (
            "(it.stripe_fee_minor IS NULL) <> (it.stripe_fee_currency IS NULL)",
            "Stripe's fee is {it.stripe_fee_minor} in the currency {it.stripe_fee_currency}",
        ),
    ),
)

_TIMERS = Rule(
    "stripe_asked",
    about="it.figures_due_at IS NOT NULL OR it.share_due_at IS NOT NULL",
    wrong=(
        ("it.figures_due_at <= %(overdue)s", "Stripe's figures were to be asked for at {it.figures_due_at}"),
        ("it.share_due_at <= %(overdue)s", "the seller's share was to be looked at at {it.share_due_at}"),
    ),
)

_FAILED = Rule(
    "status_agrees",
    about="it.status = 'failed'",
    wrong=(("it.settled_at IS NOT NULL", "payment {it.stripe_charge_id} failed and settles its session"),),
)

SCANS = (Scan("transactions", (_PLACED, _ADDS_UP, _TIMERS, _FAILED)),)
