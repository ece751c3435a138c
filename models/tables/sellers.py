"""Sellers' accounts at Stripe, and what was sent to them."""

import uuid

from peewee import BigIntegerField, BooleanField, CharField, ForeignKeyField, IntegerField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.models.database import Table
from paywindow.models.tables.payments import Transaction


class ConnectedAccount(Table):
    """A maker's account at Stripe, or the will to open one: ``params`` are frozen before the first call.

    ``generation`` grows when an account was disconnected and another is opened in its place. Every reading of the account is
    numbered as it begins (``reads_begun``); one that began earlier never overwrites what a later one recorded
    (``reads_recorded``), since Stripe sends an event after every change.
    """

    maker_id = UUIDField(primary_key=True)
    generation = IntegerField(default=1)
    params = TextField()
    first_called_at = DateTimeTZField()
    stripe_account_id = CharField(null=True)
    charges_enabled = BooleanField(default=False)
    payouts_enabled = BooleanField(default=False)
    details_submitted = BooleanField(default=False)
    transfers_capability = CharField(null=True)
    card_payments_capability = CharField(null=True)
    currently_due = TextField(default="[]")
    past_due = TextField(default="[]")
    disabled_reason = CharField(null=True)
    current_deadline = DateTimeTZField(null=True)
    default_currency = CharField(null=True)
    country = CharField(null=True)
    deauthorized_at = DateTimeTZField(null=True)
    reads_begun = BigIntegerField(default=0)
    reads_recorded = BigIntegerField(default=0)
    read_at = DateTimeTZField(null=True)
    created_at = DateTimeTZField()
    updated_at = DateTimeTZField()

    class Meta:
        table_name = "connected_accounts"


class SellerMovement(Table):
    """Money that we send to a seller, or take back: a *transfer* or a *reversal* of one.

    ``status``: claimed (amount and key are frozen, Stripe's answer is not recorded yet), done, refused.
    """

    id = UUIDField(primary_key=True)
    transaction = ForeignKeyField(Transaction, backref="movements")
    transaction_id: uuid.UUID
    number = IntegerField()
    kind = CharField()
    status = CharField()
    amount_minor = BigIntegerField()
    currency = CharField()
    destination_account = CharField()
    idempotency_key = CharField()
    first_called_at = DateTimeTZField()
    stripe_transfer_id = CharField(null=True)
    stripe_reversal_id = CharField(null=True)
    last_error = TextField(null=True)
    created_at = DateTimeTZField()
    finished_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "seller_movements"
