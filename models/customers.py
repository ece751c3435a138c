"""Buyers as Stripe's customers: one each, claimed before Stripe is called, as attempts are."""

import uuid
from datetime import datetime

from paywindow import ids
from paywindow.models import outbox
from paywindow.models.tables import Customer, PaymentMethod
from paywindow.payment_methods import StoredMethod, StripeCustomer


def claim(buyer_id: uuid.UUID, livemode: bool, email: str | None, at: datetime) -> Customer:
    """The buyer's customer; inserted, with its key and what Stripe will be told, if there is none."""
    identifier = uuid.uuid4()
    Customer.insert(
        id=identifier,
        buyer_id=buyer_id,
        livemode=livemode,
        idempotency_key=ids.customer_key(identifier),
        email=email,
        first_called_at=at,
        created_at=at,
    ).on_conflict_ignore().execute()
    found: Customer = Customer.get(
        Customer.buyer_id == buyer_id, Customer.livemode == livemode, Customer.deleted_at.is_null()
    )
    return found


def attach(customer: Customer, stripe_customer_id: str) -> Customer:
    """Record which Customer Stripe made; one that another run recorded stays."""
    Customer.update(stripe_customer_id=stripe_customer_id).where(
        Customer.id == customer.id, Customer.stripe_customer_id.is_null()
    ).execute()
    found: Customer = Customer.get_by_id(customer.id)
    return found


def rename(customer: Customer, email: str) -> None:
    """Stripe has another e-mail address of the buyer now."""
    Customer.update(email=email).where(Customer.id == customer.id).execute()


def of_stripe(stripe_customer_id: str) -> Customer | None:
    """The customer with this id at Stripe, if it is one of ours and not deleted."""
    found: Customer | None = Customer.get_or_none(
        Customer.stripe_customer_id == stripe_customer_id, Customer.deleted_at.is_null()
    )
    return found


def changed(customer: Customer, at: datetime) -> None:
    """Something happened to the customer or its methods: have Stripe read again, and let older answers count for nothing."""
    Customer.update(changes=Customer.changes + 1).where(Customer.id == customer.id).execute()
    outbox.follow_up("methods.refresh", at, customer_id=str(customer.id))


def forget(customer: Customer, at: datetime) -> None:
    """The customer was deleted at Stripe, and everything that it kept with it. The buyer's next page makes a new one."""
    Customer.update(deleted_at=at, changes=Customer.changes + 1).where(
        Customer.id == customer.id, Customer.deleted_at.is_null()
    ).execute()
    _detach_others(customer, [], at)


def write(customer: Customer, found: StripeCustomer, methods: list[StoredMethod], at: datetime) -> bool:
    """Bring the rows in line with what Stripe said; false when something happened since ``customer`` was read.

    The customer's row stays locked until the transaction ends, so that two looks are written one after the other.
    """
    current: Customer = Customer.select().where(Customer.id == customer.id).for_update().get()
    if current.changes != customer.changes:
        return False
    Customer.update(email=found.email, default_method=found.default_method).where(Customer.id == customer.id).execute()
    for method in methods:
        _upsert(customer, method, at)
    _detach_others(customer, [method.id for method in methods], at)
    return True


def _upsert(customer: Customer, method: StoredMethod, at: datetime) -> None:
    """Write a method down; one that is as it was keeps the time of its last change."""
    shown = {
        "type": method.kind,
        "stripe_type": method.stripe_type,
        "brand": method.brand,
        "last4": method.last4,
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "detached_at": None,
    }
    row = PaymentMethod.get_or_none(PaymentMethod.stripe_payment_method_id == method.id)
    if row is None:
        PaymentMethod.create(
            id=uuid.uuid4(),
            customer=customer.id,
            buyer_id=customer.buyer_id,
            stripe_payment_method_id=method.id,
            created_at=method.created,
            updated_at=at,
            **shown,
        )
    elif any(getattr(row, name) != value for name, value in shown.items()):
        PaymentMethod.update(updated_at=at, **shown).where(PaymentMethod.id == row.id).execute()


def _detach_others(customer: Customer, kept: list[str], at: datetime) -> None:
    PaymentMethod.update(detached_at=at, updated_at=at).where(
        PaymentMethod.customer == customer.id,
        PaymentMethod.detached_at.is_null(),
        PaymentMethod.stripe_payment_method_id.not_in(kept),
    ).execute()
