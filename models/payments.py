"""Payments that are in the books."""

from paywindow.models.tables import Transaction


def of_intent(payment_intent_id: object) -> Transaction | None:
    """The payment that a PaymentIntent came to, if it is recorded; declined charges are none."""
    return Transaction.read_one("WHERE stripe_payment_intent_id = %s AND status <> 'failed'", payment_intent_id)
