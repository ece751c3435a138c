"""Stripe's events about sellers: their accounts, and the money that is passed on to them.

Events with ``account`` happened on a connected account. They are matched by its stored id and say nothing here but *read the
account again*: what they carry may be older than what is known, and their order is not promised. Events about money are the
platform's own, matched by the charge; they say *read the figures again*.
"""

from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.models import attempts, outbox, payments, sellers
from paywindow.models.tables import Transaction


def account_changed(context: Context) -> str:
    """Something about a seller's account changed: what it can do, what Stripe wants to know, or whether it is still ours."""
    account = context.event.get("account")
    row = sellers.of_account(account) if isinstance(account, str) else None
    if row is None:
        return FOREIGN
    outbox.follow_up("sellers.refresh", context.at, maker_id=str(row.maker_id))
    return APPLIED


def charge_updated(context: Context) -> str:
    """The charge's balance transaction is known, and with it Stripe's fee, the application fee and the transfer."""
    intent = context.subject.get("payment_intent")
    if not isinstance(intent, str):
        return FOREIGN
    row = payments.of_intent(intent)
    if row is None:
        if attempts.of_payment_intent(intent) is None:
            return FOREIGN
        if context.subject.get("status") == "failed":
            return NOTHING  # a declined card: there may never be a payment to wait for
        raise NotYet("its payment is not recorded yet")
    return _read_figures(row, context)


def transfer_changed(context: Context) -> str:
    """Stripe passed a payment on, or took a part of it back, perhaps in its dashboard."""
    return _of_charge(context.subject.get("source_transaction"), context)


def application_fee_refunded(context: Context) -> str:
    """A refund gave a part of the platform's fee back to the seller."""
    return _of_charge(context.subject.get("originating_transaction"), context)


def _of_charge(charge: object, context: Context) -> str:
    row = Transaction.get_or_none(Transaction.stripe_charge_id == charge) if isinstance(charge, str) else None
    # Of a payment that is not recorded yet, charge.updated will say the same.
    return FOREIGN if row is None else _read_figures(row, context)


def _read_figures(row: Transaction, context: Context) -> str:
    outbox.follow_up("figures.read", context.at, transaction_id=str(row.id))
    return APPLIED
