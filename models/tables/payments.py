"""Money that moved: payments, what went back to buyers, and what banks took back."""

import uuid

from peewee import BigIntegerField, BooleanField, CharField, ForeignKeyField, IntegerField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.errors import Permanent
from paywindow.models.database import Table
from paywindow.models.tables.sessions import CheckoutAttempt, Operation, PaymentSession


class Transaction(Table):
    """A charge, successful or declined. ``settled_at`` is set on the one that pays its session.

    Stripe's figures come later: ``figures_due_at`` is when to ask for them if nothing brings them, ``share_due_at`` when to
    look whether the seller has what the seller is due. ``transferred_minor`` is what was sent to the seller so far,
    ``transfer_reversed_minor`` what came back of it. Only a destination charge has a ``destination_account``, a
    ``stripe_transfer_id`` and an application fee, of which ``platform_fee_returned_minor`` was given back.
    """

    id = UUIDField(primary_key=True)
    session = ForeignKeyField(PaymentSession, backref="transactions")
    session_id: uuid.UUID
    attempt = ForeignKeyField(CheckoutAttempt)
    attempt_id: uuid.UUID
    stripe_payment_intent_id = CharField()
    stripe_charge_id = CharField(null=True)
    status = CharField()
    amount_minor = BigIntegerField()
    currency = CharField()
    settled_at = DateTimeTZField(null=True)
    platform_fee_minor = BigIntegerField(null=True)
    stripe_fee_minor = BigIntegerField(null=True)
    stripe_fee_currency = CharField(null=True)
    stripe_balance_transaction_id = CharField(null=True)
    exchange_rate = CharField(null=True)
    stripe_application_fee_id = CharField(null=True)
    platform_fee_returned_minor = BigIntegerField(default=0)
    destination_account = CharField(null=True)
    stripe_transfer_id = CharField(null=True)
    transferred_minor = BigIntegerField(default=0)
    transfer_reversed_minor = BigIntegerField(default=0)
    figures_due_at = DateTimeTZField(null=True)
    figures_tries = IntegerField(default=0)
    share_due_at = DateTimeTZField(null=True)
    failure_code = CharField(null=True)
    decline_code = CharField(null=True)
    failure_reason = TextField(null=True)
    card_brand = CharField(null=True)
    card_last4 = CharField(null=True)
    buyer_name = TextField(null=True)
    buyer_email = TextField(null=True)
    buyer_address = TextField(null=True)
    created_at = DateTimeTZField()
    processed_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "transactions"


class Refund(Table):
    """Money given back, or the will to give it back: ``params`` are frozen before the first call, the id is its key.

    ``status``: claimed (Stripe's answer is not recorded yet), held (Stripe refuses for now, for an operator to judge), then as
    Stripe tells: pending, requires_action, succeeded, failed, canceled. ``reason`` is Stripe's, ``why`` is ours. ``made_by`` is
    ``stripe`` for one that was made in its dashboard; such a one has no ``params``.
    """

    id = UUIDField(primary_key=True)
    transaction = ForeignKeyField(Transaction, backref="refunds")
    transaction_id: uuid.UUID
    operation = ForeignKeyField(Operation, null=True)
    operation_id: uuid.UUID | None
    made_by = CharField(default="stripe")
    why = TextField(null=True)
    release_auction = BooleanField(default=False)
    params = TextField(null=True)
    first_called_at = DateTimeTZField(null=True)
    next_try_at = DateTimeTZField(null=True)
    tries = IntegerField(default=0)
    last_error = TextField(null=True)
    stripe_refund_id = CharField(null=True)
    amount_minor = BigIntegerField()
    currency = CharField()
    status = CharField()
    reason = CharField(null=True)
    failure_reason = CharField(null=True)
    created_at = DateTimeTZField()
    updated_at = DateTimeTZField()

    class Meta:
        table_name = "refunds"

    @property
    def frozen(self) -> str:
        """The parameters of the call. Raises :class:`Permanent` for a refund that was made in Stripe's dashboard."""
        if self.params is None:
            raise Permanent(f"refund {self.id} was not made here")
        return str(self.params)


class Dispute(Table):
    """A payment that its buyer disputes, as Stripe last described it.

    ``status`` and ``reason`` are Stripe's. ``withdrawn``: the amount was taken from the balance, ``reinstated``: and given back.
    ``borne_by``, seller or platform, is frozen when it is first heard of. ``fee_minor`` and ``net_minor`` (what all of it did
    to the balance) are in ``balance_currency``, which may differ from the payment's. ``changes`` counts what was told of it,
    so that an older look at Stripe is not written down; ``told`` is what the marketplace was told last.
    """

    id = UUIDField(primary_key=True)
    transaction = ForeignKeyField(Transaction, backref="disputes")
    transaction_id: uuid.UUID
    stripe_dispute_id = CharField()
    amount_minor = BigIntegerField()
    currency = CharField()
    status = CharField()
    reason = CharField()
    refundable = BooleanField()
    borne_by = CharField()
    evidence_due_at = DateTimeTZField(null=True)
    withdrawn = BooleanField(default=False)
    reinstated = BooleanField(default=False)
    fee_minor = BigIntegerField(default=0)
    net_minor = BigIntegerField(default=0)
    balance_currency = CharField(null=True)
    changes = BigIntegerField(default=0)
    told = TextField(null=True)
    opened_at = DateTimeTZField()
    closed_at = DateTimeTZField(null=True)
    created_at = DateTimeTZField()
    updated_at = DateTimeTZField()

    class Meta:
        table_name = "disputes"
