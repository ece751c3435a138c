"""Refunds that Stripe tells of, wherever they were made: in its dashboard, by its support, or by a request of ours.

``refund.created``, ``refund.updated`` and ``refund.failed`` all carry the whole Refund, and are handled alike.
"""

from paywindow.actors import refund_outcomes
from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.models import attempts, moves, payments
from paywindow.models.tables import Transaction


def refund_changed(context: Context) -> str:
    """Record what is new about a refund, and what follows from it."""
    found = context.subject
    intent = found.get("payment_intent")
    paid = payments.of_intent(intent)
    if paid is None:
        if isinstance(intent, str) and attempts.of_payment_intent(intent) is not None:
            raise NotYet("its payment is not recorded yet")
        return FOREIGN
    session = moves.lock_session(paid.session_id)
    if session is None:
        return NOTHING
    paid = Transaction.get_by_id(paid.id)
    return APPLIED if refund_outcomes.told(session, paid, found, context.cause) else NOTHING
