"""Buyers at Stripe, and what they pay with."""

import uuid

from peewee import BigIntegerField, BooleanField, CharField, ForeignKeyField, IntegerField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.models.database import Table


class Customer(Table):
    """A buyer at Stripe: made once, under a key of its own, before the first page on which the buyer may save a card.

    ``changes`` counts what was told of it or its payment methods, so that an older look at Stripe is not written down.
    ``default_method``: the payment method that was made the default at Stripe, by Stripe's id.
    """

    id = UUIDField(primary_key=True)
    buyer_id = UUIDField()
    livemode = BooleanField()
    idempotency_key = CharField()
    email = TextField(null=True)
    stripe_customer_id = CharField(null=True)
    default_method = CharField(null=True)
    changes = BigIntegerField(default=0)
    first_called_at = DateTimeTZField()
    created_at = DateTimeTZField()
    deleted_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "customers"


class PaymentMethod(Table):
    """A payment method that a buyer keeps at Stripe, as far as it may be shown; gone for good once ``detached_at`` is set."""

    id = UUIDField(primary_key=True)
    customer = ForeignKeyField(Customer, backref="methods")
    customer_id: uuid.UUID
    buyer_id = UUIDField()
    stripe_payment_method_id = CharField()
    type = CharField()
    stripe_type = CharField()
    brand = CharField(null=True)
    last4 = CharField(null=True)
    exp_month = IntegerField(null=True)
    exp_year = IntegerField(null=True)
    created_at = DateTimeTZField()
    updated_at = DateTimeTZField()
    detached_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "payment_methods"
