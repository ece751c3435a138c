"""Disputes and their balance transactions, with every field that Stripe sends (https://docs.stripe.com/api/disputes/object)."""

from typing import Any

from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject

#: Evidence that is text; the rest names files, which are not modelled.
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_tracking_number",
    "uncategorized_text",
)
_FILES = (
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
)
# Visa's codes; https://docs.stripe.com/disputes/categories
_NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "product_unacceptable": "13.3"}


def build_dispute(
    charge: JsonObject, *, amount: int, reason: str, inquiry: bool, created: int, due_by: int
) -> JsonObject:
    """A dispute of ``amount`` minor units, from which nothing was withdrawn yet."""
    code = _NETWORK_CODES.get(reason)
    return {
        "id": new_id("du_1"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys((*EVIDENCE, *_FILES)), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": "manual",
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": code,
        "payment_intent": charge["payment_intent"],
        **_card(charge, code, inquiry=inquiry),
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def _card(charge: JsonObject, code: str | None, *, inquiry: bool) -> dict[str, Any]:
    """``payment_method_details``: absent for what was not paid by card."""
    details = charge["payment_method_details"]
    if details["type"] != "card":
        return {}
    brand = details["card"]["brand"]
    kind = "inquiry" if inquiry else "chargeback"
    card = {"brand": brand, "case_type": kind, "network": brand, "network_reason_code": code}
    return {"payment_method_details": {"card": card, "type": "card"}}


def build_withdrawal(dispute: JsonObject, fee: int, created: int) -> JsonObject:
    """What a dispute takes from the balance: its amount, and a fee."""
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": dispute["currency"],
            "description": "Dispute fee",
            "type": "stripe_fee",
        }
    ]
    return {
        **_entry(dispute, -dispute["amount"], fee, created),
        "description": f"Chargeback withdrawal for {dispute['charge']}",
        "fee_details": details,
        "reporting_category": "dispute",
    }


def build_reinstatement(dispute: JsonObject, created: int) -> JsonObject:
    """What winning brings back: the amount, not the fee."""
    return {
        **_entry(dispute, dispute["amount"], 0, created),
        "description": f"Chargeback reversal for {dispute['charge']}",
        "fee_details": [],
        "reporting_category": "dispute_reversal",
    }


def _entry(dispute: JsonObject, amount: int, fee: int, created: int) -> JsonObject:
    return {
        "id": new_id("txn_1"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "balance_type": "payments",
        "created": created,
        "currency": dispute["currency"],
        "exchange_rate": None,
        "fee": fee,
        "net": amount - fee,
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }
