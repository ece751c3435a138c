"""What Stripe tells of disputes: ``charge.dispute.*``, all handled alike.

They carry the dispute as it was when something happened; since no order is promised, they only say that there is one and that
something changed. Stripe is read for how it stands (``disputes.read``). Refunds are refused from the first event on.
"""

from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.actors.runtime import runtime
from paywindow.disputes import read_dispute
from paywindow.models import attempts, disputes, moves, payments


def dispute_changed(context: Context) -> str:
    """A dispute was opened, took money, was answered, gave money back, or was decided."""
    found = read_dispute(context.subject)
    paid = payments.of_intent(found.payment_intent_id)
    if paid is None:
        intent = found.payment_intent_id
        if intent is not None and attempts.of_payment_intent(intent) is not None:
            raise NotYet("its payment is not recorded yet")
        return FOREIGN
    if moves.lock_session(paid.session_id) is None:
        return NOTHING
    borne_by = "seller" if runtime().settings.dispute_seller_policy == "reverse" else "platform"
    disputes.told_of(paid, found, borne_by, context.at)
    return APPLIED
