"""Stripe's figures of a payment: its fee, the application fee, the transfer to the seller.

``figures.read`` (outbox of ``charge.updated`` and of what Stripe moves with refunds; sweep: nothing came within an hour) reads
the charge with all three and records them; every recorded sum only grows, so a reading that comes late changes nothing. The
session gets a new version, and a split sale its statement. A second run reads the same.
"""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Permanent
from paywindow.figures import Figures, read_figures
from paywindow.models import moves, outbox, receipts, shares
from paywindow.models.database import transaction
from paywindow.models.tables import PaymentSession, Transaction

logger = logging.getLogger(__name__)

#: How long a seller's statement waits for Stripe's fee; then it is issued, and says nothing of it.
STATEMENT_PATIENCE = timedelta(days=1)


@actor("figures.read")
def read(transaction_id: str, outbox_id: int | None = None) -> None:
    """Read a payment's figures from Stripe and record what is new."""
    identifier = uuid.UUID(transaction_id)
    with transaction():
        paid: Transaction = Transaction.get_by_id(identifier)
    found = runtime().gateway.charge_figures(paid.stripe_payment_intent_id)
    figures = None if found is None else read_figures(found)
    at = clock.now()
    with transaction():
        session = moves.lock_session(paid.session_id)
        paid = Transaction.select().where(Transaction.id == identifier).for_update().get()
        if session is None:
            raise Permanent(f"transaction {transaction_id} has no payment session")
        is_first = figures is not None and figures.stripe_fee is not None and paid.stripe_fee_minor is None
        changed = figures is not None and _record(paid, figures)
        if changed:
            moves.touch(session.id, at)
        if changed and paid.destination_account is not None and shares.owed(paid, session):
            shares.follow_dispute(paid, session, at)  # it took money before Stripe had passed any on
        if is_first or paid.stripe_fee_minor is None:
            _issue_statement(paid, session, at)
        outbox.done(outbox_id)
    if is_first:
        _count(paid, session)
    if is_first and figures is not None and figures.converted:
        logger.warning(
            "Stripe passed a payment on in another currency than it was paid in: shown as agreed, and disputes of it take "
            "nothing from the seller",
            extra={"transaction_id": transaction_id},
        )


def _record(paid: Transaction, figures: Figures) -> bool:
    """Write what is new; false when everything was known."""
    before = dict(paid.__data__)
    new: dict[str, Any] = {}
    if figures.stripe_fee is not None:
        new |= {
            "stripe_fee_minor": figures.stripe_fee,
            "stripe_fee_currency": figures.stripe_fee_currency,
            "stripe_balance_transaction_id": figures.balance_transaction_id,
            "exchange_rate": figures.exchange_rate,
        }
    if paid.destination_account is not None:
        new |= _passed_on(paid, figures)
    passed_on = figures.transfer_id is not None or figures.converted
    complete = figures.stripe_fee is not None and (paid.destination_account is None or passed_on)
    if complete:
        new["figures_due_at"] = None
    if paid.stripe_charge_id is None:
        new["stripe_charge_id"] = figures.charge_id
    new = {name: value for name, value in new.items() if value != before[name]}
    if not new:
        return False
    Transaction.update(**new).where(Transaction.id == paid.id).execute()
    paid.__data__.update(new)
    return bool(new.keys() - {"figures_due_at"})


def _passed_on(paid: Transaction, figures: Figures) -> dict[str, Any]:
    """What Stripe moved of a destination charge. Sums that were recorded are never lowered."""
    sent, back = shares.moved_by_us(paid)
    return {
        "stripe_application_fee_id": figures.application_fee_id,
        "platform_fee_returned_minor": max(paid.platform_fee_returned_minor, figures.application_fee_returned),
        "stripe_transfer_id": figures.transfer_id,
        "transferred_minor": max(paid.transferred_minor, figures.transferred + sent),
        "transfer_reversed_minor": max(paid.transfer_reversed_minor, figures.transfer_reversed + back),
        **({"platform_fee_minor": figures.application_fee or 0} if figures.transfer_id is not None else {}),
    }


def _issue_statement(paid: Transaction, session: PaymentSession, at: datetime) -> None:
    """Have a split sale's statement issued, once the receipt that it names is there."""
    if session.split is None or paid.settled_at is None or receipts.of_transaction(paid.id) is None:
        return
    if paid.stripe_fee_minor is None and at < paid.settled_at + STATEMENT_PATIENCE:
        return
    if receipts.of_transaction(paid.id, "statement") is None:
        outbox.follow_up("receipts.issue_statement", at, transaction_id=str(paid.id))


def _count(paid: Transaction, session: PaymentSession) -> None:
    """Count a payment once, when its figures are complete: ``amount = platform + seller``, as sold."""
    fee = paid.amount_minor if session.maker_id is None else paid.platform_fee_minor or 0
    metrics.SPLIT_AMOUNT.labels("amount", paid.currency).inc(paid.amount_minor)
    metrics.SPLIT_AMOUNT.labels("platform", paid.currency).inc(fee)
    metrics.SPLIT_AMOUNT.labels("seller", paid.currency).inc(paid.amount_minor - fee)
    metrics.SPLIT_AMOUNT.labels("stripe_fee", paid.stripe_fee_currency).inc(paid.stripe_fee_minor or 0)
