"""What Stripe tells of customers and their payment methods.

The events only say that something changed: the objects that they carry may be older than others that came before. So the
customer is read again (``methods.refresh``), and the order of events does not matter. Customers that are not ours are foreign.
"""

from paywindow.actors.event_context import APPLIED, FOREIGN, Context
from paywindow.models import customers


def method_changed(context: Context) -> str:
    """A payment method was attached, detached or renewed: at our request, by the buyer on Stripe's page, or by the bank."""
    # What was detached no longer says from whom.
    before = context.event["data"].get("previous_attributes") or {}
    return _refresh(context.subject.get("customer") or before.get("customer"), context)


def customer_changed(context: Context) -> str:
    """A customer's address or default payment method changed."""
    return _refresh(context.subject["id"], context)


def customer_deleted(context: Context) -> str:
    """A customer is gone, and all that it kept."""
    customer = customers.of_stripe(context.subject["id"])
    if customer is None:
        return FOREIGN
    customers.forget(customer, context.at)
    return APPLIED


def _refresh(stripe_customer_id: object, context: Context) -> str:
    customer = customers.of_stripe(stripe_customer_id) if isinstance(stripe_customer_id, str) else None
    if customer is None:
        return FOREIGN
    customers.changed(customer, context.at)
    return APPLIED
