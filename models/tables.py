"""The tables as Peewee models: columns only. What may be written, and when, is in the modules beside this one."""

import uuid

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
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
