"""What Stripe tells of disputes: ``charge.dispute.*``, all handled alike.

They carry the dispute as it was when something happened; since no order is promised, they only say that there is one and that
something changed. Stripe is read for how it stands (``disputes.read``). Refunds are refused from the first event on.
"""

from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.disputes import StripeDispute, read_dispute
from paywindow.models import attempts, disputes, moves
from paywindow.models.tables import Transaction


def dispute_changed(context: Context) -> str:
    """A dispute was opened, took money, was answered, gave money back, or was decided."""
    found = read_dispute(context.subject)
    paid = _payment(found)
    if paid is None:
        intent = found.payment_intent_id
        if intent is not None and attempts.of_payment_intent(intent) is not None:
            raise NotYet("its payment is not recorded yet")
        return FOREIGN
    if moves.lock_session(paid.session_id) is None:
        return NOTHING
    disputes.told_of(paid, found, context.at)
    return APPLIED


def _payment(found: StripeDispute) -> Transaction | None:
    paid: Transaction | None = Transaction.get_or_none(
        Transaction.stripe_payment_intent_id == found.payment_intent_id, Transaction.status != "failed"
    )
    return paid
