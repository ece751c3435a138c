"""Payouts of connected accounts (https://docs.stripe.com/api/payouts): Stripe sends what an account has to its bank."""

from paywindow.sandbox.accounts import restrict
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.store import Posting
from paywindow.sandbox.transfers import balance


def pay_out(sandbox: Sandbox, account: JsonObject, currency: str, *, fails: bool = False) -> JsonObject:
    """Pay out all that an account has in a currency; the payout. Raises StripeError when there is nothing.

    A bank that refuses sends the money back, and Stripe stops further payouts until there is another bank account.
    """
    amount = balance(sandbox, account["id"]).get(currency, 0)
    if amount <= 0 or not account["payouts_enabled"]:
        raise invalid("There is nothing to pay out, or payouts are not enabled.")
    now = sandbox.clock.now()
    payout: JsonObject = {
        "id": new_id("po_1"),
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": now,
        "automatic": True,
        "balance_transaction": None,
        "created": now,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }
    sandbox.store.add(payout)
    sandbox.events.emit("payout.created", payout, account=account["id"])
    if fails:
        payout.update(
            status="failed",
            failure_code="account_closed",
            failure_message="The bank account has been closed.",
        )
        sandbox.events.emit("payout.failed", payout, account=account["id"])
        restrict(sandbox, account, ["external_account"], payouts_only=True)
        return payout
    sandbox.store.postings.append(Posting(account["id"], currency, -amount, "payout", payout["id"]))
    payout.update(status="paid", reconciliation_status="completed")
    sandbox.events.emit("payout.paid", payout, account=account["id"])
    return payout
