"""Payment sessions, their tries to be paid, the commands about them, and how they moved."""

import uuid

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
    UUIDField,
)
from playhouse.postgres_ext import DateTimeTZField

from paywindow.errors import Permanent
from paywindow.models.database import Table


class PaymentSession(Table):
    """One buyer, one auction, one window.

    ``version`` grows with every change that the public can see. ``expires_at`` is the deadline; ``due_at`` is when the window
    next needs attention: at the deadline, when the page dies or when a retry is due, whichever comes first, or at the end
    of a claim's lease. ``retry_count`` counts the moves *retried*. ``split`` says how the seller gets the share, frozen at the
    create: *destination* (by Stripe, with the charge), *collect* (sent afterwards), or not at all.
    """

    id = UUIDField(primary_key=True)
    auction_id = UUIDField()
    buyer_id = UUIDField()
    maker_id = UUIDField(null=True)
    amount_minor = BigIntegerField()
    currency = CharField()
    platform_fee_minor = BigIntegerField(null=True)
    split = CharField(null=True)
    destination_account = CharField(null=True)
    on_behalf_of = BooleanField(default=False)
    description = TextField(null=True)
    buyer_email = TextField(null=True)
    locale = TextField(null=True)
    return_url = TextField(null=True)
    cancel_url = TextField(null=True)
    late_policy = CharField()
    window_minutes = IntegerField()
    livemode = BooleanField()
    status = CharField()
    version = BigIntegerField(default=1)
    attempt_number = IntegerField()
    expires_at = DateTimeTZField()
    due_at = DateTimeTZField()
    due_tries = IntegerField(default=0)
    retry_count = IntegerField(default=0)
    retries_granted = IntegerField(default=0)
    retry_at = DateTimeTZField(null=True)
    hold_reason = CharField(null=True)
    hold_since = DateTimeTZField(null=True)
    released_at = DateTimeTZField(null=True)
    stripe_payment_intent_id = CharField(null=True)
    failure_code = CharField(null=True)
    failure_message = TextField(null=True)
    completed_at = DateTimeTZField(null=True)
    canceled_at = DateTimeTZField(null=True)
    created_at = DateTimeTZField()
    updated_at = DateTimeTZField()

    class Meta:
        table_name = "payment_sessions"


class CheckoutAttempt(Table):
    """One Checkout Session at Stripe, or the will to open one: ``params`` are frozen before the first call.

    ``status``: claimed (Stripe's answer is not recorded yet), open, complete, closed (expired or superseded), refused.
    """

    id = UUIDField(primary_key=True)
    session = ForeignKeyField(PaymentSession, backref="attempts")
    session_id: uuid.UUID
    number = IntegerField()
    kind = CharField()
    status = CharField()
    params = TextField()
    idempotency_key = CharField()
    first_called_at = DateTimeTZField(null=True)
    next_try_at = DateTimeTZField(null=True)
    tries = IntegerField(default=0)
    last_error = TextField(null=True)
    stripe_checkout_id = CharField(null=True)
    stripe_payment_intent_id = CharField(null=True)
    url = TextField(null=True)
    page_expires_at = DateTimeTZField(null=True)
    created_at = DateTimeTZField()
    closed_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "checkout_attempts"

    @property
    def page_id(self) -> str:
        """The attached page's id. Raises :class:`Permanent` while there is none."""
        if self.stripe_checkout_id is None:
            raise Permanent(f"attempt {self.id} has no page")
        return str(self.stripe_checkout_id)


class Operation(Table):
    """A command of the API: inserted when its actor starts, its outcome set in the transaction of its effect."""

    id = UUIDField(primary_key=True)
    client = CharField()
    kind = CharField()
    fingerprint = CharField()
    request = TextField()
    session = ForeignKeyField(PaymentSession, null=True)
    session_id: uuid.UUID | None
    outcome = TextField(null=True)
    created_at = DateTimeTZField()
    next_try_at = DateTimeTZField()
    tries = IntegerField(default=0)
    finished_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "operations"


class Transition(Table):
    """The audit trail, append-only: who changed a session, when and why."""

    id = BigAutoField()
    session = ForeignKeyField(PaymentSession, backref="transitions")
    session_id: uuid.UUID
    version = BigIntegerField()
    attempt_number = IntegerField()
    event = CharField()
    from_status = CharField()
    to_status = CharField()
    hold_reason = CharField(null=True)
    who = CharField()
    why = TextField(null=True)
    stripe_event_id = CharField(null=True)
    at = DateTimeTZField()

    class Meta:
        table_name = "transitions"
