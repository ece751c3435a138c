"""Unfinished work: each piece of it will be taken up again at a time that is not overdue. At rest there is none."""

from paywindow.messages import ACTORS
from paywindow.models.invariants.rules import Rule, Scan

_ACTORS = ", ".join(f"'{name}'" for name in sorted(ACTORS))


def _due(column: str, what: str) -> tuple[tuple[str, str], ...]:
    """What may be wrong with a row that is not done and due again at ``column``."""
    return (
        ("%(at_rest)s", f"{what} is not done"),
        (f"NOT %(at_rest)s AND {column} IS NULL", f"{what} will not be tried again"),
        (f"NOT %(at_rest)s AND {column} <= %(overdue)s", f"{what} was due at {{{column}}}, and nobody took it up"),
    )


_EVENT = Rule(
    "event_handled",
    wrong=(
        (
            "it.parked_at IS NOT NULL",
            "{it.type} was set aside at {it.parked_at} after {it.tries} tries: {it.last_error}",
        ),
        *(
            (f"it.parked_at IS NULL AND {condition}", f"{says}: {{it.last_error}}")
            for condition, says in _due("it.next_try_at", "{it.type}")
        ),
    ),
)

_FOLLOW_UP = Rule(
    "follow_up_done",
    wrong=(
        (f"it.actor NOT IN ({_ACTORS})", "no actor is called {it.actor}"),
        *_due("it.next_send_at", "{it.actor} {it.arguments}"),
    ),
)

# Those that wait for a page or a refund are answered by whoever goes on with that; the sweep takes up the others.
_BRINGER = """
    LEFT JOIN LATERAL (
        SELECT true AS there FROM checkout_attempts WHERE session_id = it.session_id AND status = 'claimed'
        UNION ALL
        SELECT true FROM refunds WHERE operation_id = it.id AND status = 'claimed'
        LIMIT 1
    ) AS bringer ON it.session_id IS NOT NULL
"""
_COMMAND = Rule(
    "command_answered",
    joins=_BRINGER,
    wrong=(
        ("%(at_rest)s", "{it.kind} of {it.client} has no outcome"),
        (
            "NOT %(at_rest)s AND it.session_id IS NULL AND it.next_try_at <= %(overdue)s",
            "{it.kind} of {it.client} was due at {it.next_try_at}, and nobody took it up",
        ),
        (
            "NOT %(at_rest)s AND it.session_id IS NOT NULL AND bringer.there IS NULL",
            "{it.kind} of {it.client} waits, and for session {it.session_id} no page is being opened and no refund made",
        ),
    ),
)

_PAGE = Rule(
    "stripe_asked",
    wrong=_due("it.next_try_at", "page of attempt {it.number} of session {it.session_id}"),
)

_REFUND = Rule(
    "stripe_asked",
    about="it.status = 'claimed'",
    wrong=_due("it.next_try_at", "refund of {it.amount_minor} {it.currency} of payment {it.transaction_id}"),
)
_HELD_REFUND = Rule(
    "payment_placed",
    about="it.status = 'held'",
    joins="""
        JOIN transactions AS paid ON paid.id = it.transaction_id
        JOIN payment_sessions AS session ON session.id = paid.session_id
    """,
    wrong=(("session.hold_reason IS NULL", "is held, and its session {session.id} waits for nobody"),),
)

_MOVEMENT = Rule(
    "stripe_asked",
    joins="JOIN transactions AS paid ON paid.id = it.transaction_id",
    wrong=_due("paid.share_due_at", "{it.kind} of {it.amount_minor} {it.currency} for payment {paid.id}"),
)

SCANS = (
    Scan("stripe_events", (_EVENT,), "text", "handled_at IS NULL", ""),
    Scan("outbox", (_FOLLOW_UP,), "bigint", first=0),
    Scan("operations", (_COMMAND,), condition="outcome IS NULL"),
    Scan("checkout_attempts", (_PAGE,), condition="status = 'claimed'"),
    Scan("refunds", (_REFUND, _HELD_REFUND), condition="status IN ('claimed', 'held')"),
    Scan("seller_movements", (_MOVEMENT,), condition="status = 'claimed'"),
)
