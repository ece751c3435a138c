"""Refunds and their balance transactions, with every field that Stripe sends.

https://docs.stripe.com/api/refunds/object, https://docs.stripe.com/reports/balance-transaction-types. Fields that Stripe
leaves out while they have no value (``failure_reason``, ``pending_reason``, ``next_action``...) are left out here too.
"""

import secrets
from typing import Literal, TypeAlias

from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject

Status: TypeAlias = Literal["pending", "succeeded"]
"""What a refund can be when it is made."""

_ACTION_SECONDS = 30 * 24 * 3600


def is_card(charge: JsonObject) -> bool:
    """Whether a charge was made by card."""
    return bool(charge["payment_method_details"]["type"] == "card")


def build_refund(charge: JsonObject, params: JsonObject, amount: int, status: Status, created: int) -> JsonObject:
    """A refund of ``amount`` minor units, its balance transaction not yet attached."""
    refund: JsonObject = {
        "id": new_id("re_3" if is_card(charge) else "pyr_1"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "metadata": params.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }
    if is_card(charge):
        refund["destination_details"] = {"card": card_destination(status), "type": "card"}
    if status == "pending":
        refund["pending_reason"] = "processing"
    return refund


def card_destination(status: Status, reference: str | None = None) -> JsonObject:
    """``destination_details.card``: the bank's reference comes some time after the refund has succeeded."""
    destination: JsonObject = {
        "reference_status": "pending" if reference is None else "available",
        "reference_type": "acquirer_reference_number",
        "type": "pending" if status == "pending" else "refund",
    }
    return destination if reference is None else destination | {"reference": reference}


def new_reference() -> str:
    """An acquirer reference number: 23 digits."""
    return "".join(secrets.choice("0123456789") for _ in range(23))


def email_action(email: str, now: int) -> JsonObject:
    """``next_action`` of a refund whose buyer was asked, by e-mail, where the money should go."""
    details = {"email_sent": {"email_sent_at": now, "email_sent_to": email}, "expires_at": now + _ACTION_SECONDS}
    return {"type": "display_details", "display_details": details}


def build_debit(charge: JsonObject, refund: JsonObject, created: int) -> JsonObject:
    """What a refund takes from the balance: its whole amount. Stripe keeps the fee of the charge."""
    card = is_card(charge)
    text = f"REFUND FOR {'CHARGE' if card else 'PAYMENT'}"
    return {
        **_transaction(refund, -refund["amount"], created),
        "description": f"{text} ({charge['description']})" if charge["description"] else text,
        "reporting_category": "refund",
        "type": "refund" if card else "payment_refund",
    }


def build_return(refund: JsonObject, created: int) -> JsonObject:
    """What a refund that did not reach the buyer puts back into the balance."""
    return {
        **_transaction(refund, refund["amount"], created),
        "description": "REFUND FAILURE",
        "reporting_category": "refund_failure",
        "type": "refund_failure",
    }


def _transaction(refund: JsonObject, amount: int, created: int) -> JsonObject:
    return {
        "id": new_id("txn_3"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "balance_type": "payments",
        "created": created,
        "currency": refund["currency"],
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "source": refund["id"],
        "status": "available",
    }
