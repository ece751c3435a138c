"""Numbers, receipts, credit notes and statements, and who downloaded them."""

import uuid

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.models.database import Table
from paywindow.models.tables.payments import Refund, Transaction
from paywindow.models.tables.sessions import PaymentSession


class ReceiptCounter(Table):
    """The last number given out in a series; its row lock is what makes numbers gapless."""

    series = CharField(primary_key=True)
    last_number = BigIntegerField()

    class Meta:
        table_name = "receipt_counters"


class ReceiptMaker(Table):
    """The short number of a maker whose documents are numbered in series of its own."""

    maker_id = UUIDField(primary_key=True)
    ordinal = IntegerField()

    class Meta:
        table_name = "receipt_makers"


class Receipt(Table):
    """A numbered document with the data it was issued from; ``sha256`` of the stored file is the record."""

    id = UUIDField(primary_key=True)
    transaction = ForeignKeyField(Transaction)
    session = ForeignKeyField(PaymentSession, backref="receipts")
    session_id: uuid.UUID
    refund = ForeignKeyField(Refund, null=True)
    kind = CharField()
    series = CharField()
    number = BigIntegerField()
    receipt_number = CharField()
    buyer_id = UUIDField()
    maker_id = UUIDField(null=True)
    auction_id = UUIDField()
    total_minor = BigIntegerField()
    currency = CharField()
    render_data = TextField()
    template_version = CharField()
    issued_at = DateTimeTZField()
    storage_key = TextField(null=True)
    storage_version_id = TextField(null=True)
    sha256 = CharField(null=True)
    size_bytes = BigIntegerField(null=True)
    stored_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "receipts"


class ReceiptDownload(Table):
    """Append-only: somebody was handed a link to a document's file."""

    id = UUIDField(primary_key=True)
    receipt = ForeignKeyField(Receipt, backref="downloads")
    receipt_id: uuid.UUID
    who = CharField()
    at = DateTimeTZField()

    class Meta:
        table_name = "receipt_downloads"
