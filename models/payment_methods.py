"""The payment methods that buyers keep, as the API shows them."""

import uuid
from datetime import datetime
from typing import Any

from paywindow.clock import isoformat
from paywindow.models.tables import Customer, PaymentMethod


def kept_by(buyer_id: uuid.UUID, livemode: bool) -> list[dict[str, Any]]:
    """A buyer's payment methods, newest first, each as the API's ``paymentMethod``."""
    rows = list(
        PaymentMethod.select(PaymentMethod, Customer)
        .join(Customer)
        .where(PaymentMethod.buyer_id == buyer_id, PaymentMethod.detached_at.is_null(), Customer.livemode == livemode)
        .order_by(PaymentMethod.created_at.desc(), PaymentMethod.id)
    )
    return [public(row, is_default=_is_default(row, rows)) for row in rows]


def find(method_id: uuid.UUID, buyer_id: uuid.UUID) -> PaymentMethod | None:
    """The buyer's payment method, detached or not; locked until the transaction ends."""
    found: PaymentMethod | None = (
        PaymentMethod.select()
        .where(PaymentMethod.id == method_id, PaymentMethod.buyer_id == buyer_id)
        .for_update()
        .get_or_none()
    )
    return found


def detached(row: PaymentMethod, at: datetime) -> None:
    """The method was taken from its buyer; what Stripe was asked before that counts for nothing any more."""
    Customer.update(changes=Customer.changes + 1).where(Customer.id == row.customer_id).execute()
    PaymentMethod.update(detached_at=at, updated_at=at).where(
        PaymentMethod.id == row.id, PaymentMethod.detached_at.is_null()
    ).execute()


def public(row: PaymentMethod, *, is_default: bool) -> dict[str, Any]:
    """The ``paymentMethod`` object of the API."""
    return {
        "id": str(row.id),
        "buyerId": str(row.buyer_id),
        "type": row.type,
        "stripePaymentMethodId": row.stripe_payment_method_id,
        "isDefault": is_default,
        "metadata": {
            "brand": row.brand,
            "last4": row.last4,
            "expMonth": row.exp_month,
            "expYear": row.exp_year,
            "stripeType": row.stripe_type,
        },
        "createdAt": isoformat(row.created_at),
    }


def _is_default(row: PaymentMethod, kept: list[PaymentMethod]) -> bool:
    """The one that was made the default at Stripe; without one, the newest: that is what Checkout fills in.

    https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-customer
    """
    chosen = row.customer.default_method
    if any(each.stripe_payment_method_id == chosen for each in kept):
        return bool(row.stripe_payment_method_id == chosen)
    return row is kept[0]
