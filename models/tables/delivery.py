"""What came from Stripe, what is to be sent to workers, and what the marketplace is told."""

import uuid

from peewee import BigAutoField, BooleanField, CharField, ForeignKeyField, IntegerField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.models.database import Table
from paywindow.models.tables.sessions import PaymentSession


class StripeEvent(Table):
    """The inbox: every verified webhook, once, and how far its handling got.

    ``object_id`` names what the event is about; ``payment_intent_id`` the payment that this belongs to, if it says so.
    """

    id = CharField(primary_key=True)
    type = CharField()
    livemode = BooleanField()
    account = CharField(null=True)
    payment_intent_id = CharField(null=True)
    object_id = CharField(null=True)
    body = TextField(null=True)
    stripe_created_at = DateTimeTZField()
    received_at = DateTimeTZField()
    handled_at = DateTimeTZField(null=True)
    verdict = CharField(null=True)
    tries = IntegerField(default=0)
    next_try_at = DateTimeTZField(null=True)
    parked_at = DateTimeTZField(null=True)
    last_error = TextField(null=True)

    class Meta:
        table_name = "stripe_events"


class Outbox(Table):
    """A follow-up that must happen: written with its cause, deleted by its consumer."""

    id = BigAutoField()
    actor = CharField()
    arguments = TextField()
    created_at = DateTimeTZField()
    next_send_at = DateTimeTZField()
    sends = IntegerField(default=1)

    class Meta:
        table_name = "outbox"


class Notification(Table):
    """Something the marketplace is told. ``delivered_at``: when the last of its sinks had it."""

    id = UUIDField(primary_key=True)
    session = ForeignKeyField(PaymentSession)
    session_id: uuid.UUID
    type = CharField()
    payload = TextField()
    created_at = DateTimeTZField()
    delivered_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "notifications"


class NotificationDelivery(Table):
    """A notification's way to one sink, by the sink's address: waiting, delivered, or given up (``dead_at``).

    ``tries`` counts those that failed; ``next_try_at`` is the next one's time, or the end of a claim's lease.
    """

    id = BigAutoField()
    notification = ForeignKeyField(Notification, backref="deliveries")
    notification_id: uuid.UUID
    sink = CharField()
    tries = IntegerField(default=0)
    next_try_at = DateTimeTZField(null=True)
    delivered_at = DateTimeTZField(null=True)
    dead_at = DateTimeTZField(null=True)
    last_error = TextField(null=True)
    created_at = DateTimeTZField()

    class Meta:
        table_name = "notification_deliveries"
