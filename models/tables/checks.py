"""What was read of Stripe's events, compared with Stripe, and searched for card numbers."""

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, ForeignKeyField, TextField, UUIDField
from playhouse.postgres_ext import DateTimeTZField

from paywindow.models.database import Table


class EventWalk(Table):
    """How far Stripe's list of events has been read, one row a mode.

    Every event before ``walked_until`` is in the inbox. ``part_since`` to ``part_until`` is being read, newest first, and has
    come to ``after_event_id``. ``lost_since`` to ``lost_until``: events that Stripe no longer had when they were looked for.
    """

    livemode = BooleanField(primary_key=True)
    walked_until = DateTimeTZField()
    part_since = DateTimeTZField(null=True)
    part_until = DateTimeTZField(null=True)
    after_event_id = CharField(null=True)
    steps = BigIntegerField(default=0)
    lost_since = DateTimeTZField(null=True)
    lost_until = DateTimeTZField(null=True)
    updated_at = DateTimeTZField()

    class Meta:
        table_name = "event_walks"


class Reconciliation(Table):
    """One comparison of the books with Stripe, and how far it has come: the stage, and where in it.

    ``after``: the last of Stripe's ids, or of ours, that the stage has looked at; ``reached_at``: that one's time.
    """

    id = UUIDField(primary_key=True)
    who = CharField()
    livemode = BooleanField()
    repairs = BooleanField()
    since = DateTimeTZField()
    until = DateTimeTZField()
    stage = CharField()
    after = CharField(null=True)
    reached_at = DateTimeTZField(null=True)
    steps = BigIntegerField(default=0)
    compared = BigIntegerField(default=0)
    started_at = DateTimeTZField()
    finished_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "reconciliations"


class ReconciliationSeen(Table):
    """An object that a comparison met at Stripe; what the books have beyond these is looked for one by one."""

    reconciliation = ForeignKeyField(Reconciliation)
    stripe_id = CharField()

    class Meta:
        table_name = "reconciliation_seen"
        primary_key = CompositeKey("reconciliation", "stripe_id")


class ReconciliationFinding(Table):
    """A discrepancy: what the books say, what Stripe says, and what was done (``outcome``)."""

    reconciliation = ForeignKeyField(Reconciliation, backref="findings")
    code = CharField()
    subject = CharField()
    session_id = UUIDField(null=True)
    ours = TextField()
    theirs = TextField()
    outcome = CharField()
    note = TextField(null=True)
    found_at = DateTimeTZField()

    class Meta:
        table_name = "reconciliation_findings"
        primary_key = CompositeKey("reconciliation", "code", "subject")


class CardScan(Table):
    """One search of the database for card numbers, and how far it has come: the table, and the last key read of it."""

    id = UUIDField(primary_key=True)
    who = CharField()
    table_name = CharField(null=True)
    after = TextField(null=True)
    steps = BigIntegerField(default=0)
    rows_read = BigIntegerField(default=0)
    started_at = DateTimeTZField()
    finished_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "card_scans"


class CardFinding(Table):
    """A place where a card number was found: where, and its last four digits."""

    scan = ForeignKeyField(CardScan, backref="findings")
    table_name = CharField()
    column_name = CharField()
    row_key = TextField()
    last_four = CharField()
    found_at = DateTimeTZField()

    class Meta:
        table_name = "card_findings"
        primary_key = CompositeKey("scan", "table_name", "column_name", "row_key")
