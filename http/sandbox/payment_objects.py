"""PaymentIntent, Charge, PaymentMethod and balance transaction, with every field that Stripe sends."""

import hashlib

from paywindow.sandbox.cards import Decline
from paywindow.sandbox.ids import new_id, random_text
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.methods import Buyer, CardMethod, DelayedMethod

_ADDRESS = {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": None}


def build_intent(session: JsonObject, data: JsonObject, created: int) -> JsonObject:
    """The PaymentIntent of a Checkout Session. Its metadata come from ``payment_intent_data`` alone."""
    intent_id = new_id("pi_3")
    transfer = data.get("transfer_data")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": session["allowed_payment_method_types"],
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": data.get("application_fee_amount"),
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": data.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{random_text(25)}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": session.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": data.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": data.get("on_behalf_of"),
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"installments": None, "mandate_options": None, "network": None}},
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": data.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": transfer,
        "transfer_group": data.get("transfer_group"),
    }


def build_payment_method(method: CardMethod | DelayedMethod, buyer: Buyer, created: int) -> JsonObject:
    """What the buyer paid, or tried to pay, with."""
    return {
        "id": new_id("pm_1"),
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": _billing_details(buyer),
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": method.type,
        method.type: _card(method) if isinstance(method, CardMethod) else _bank_account(method),
    }


def _billing_details(buyer: Buyer) -> JsonObject:
    return {"address": dict(_ADDRESS), "email": buyer.email, "name": buyer.name, "phone": None, "tax_id": None}


def _card(method: CardMethod) -> JsonObject:
    card = method.card
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": _cvc_check(method)},
        "country": "US",
        "display_brand": card.brand if card.brand != "amex" else "american_express",
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "fingerprint": _fingerprint(card.number),
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": _wallet(method),
    }


def _wallet(method: CardMethod) -> JsonObject | None:
    if method.wallet is None:
        return None
    return {"type": method.wallet, "dynamic_last4": method.card.last4, method.wallet: {}}


def _cvc_check(method: CardMethod) -> str:
    decline = method.card.decline
    return "fail" if decline is not None and decline.code == "incorrect_cvc" else "pass"


def _fingerprint(number: str) -> str:
    """The same card has the same fingerprint, as at Stripe."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def _bank_account(method: DelayedMethod) -> JsonObject:
    account: JsonObject = {"fingerprint": _fingerprint(method.type), "last4": "6789"}
    if method.type == "us_bank_account":
        account |= {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "financial_connections_account": None,
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": {},
        }
    return account


def build_charge(intent: JsonObject, payment_method: JsonObject, created: int) -> JsonObject:
    """A charge without an outcome yet: ``status`` is pending."""
    kind = payment_method["type"]
    transfer = intent["transfer_data"]
    return {
        "id": new_id("ch_3" if kind == "card" else "py_3"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": None,
        "billing_details": snapshot(payment_method["billing_details"]),
        "calculated_statement_descriptor": "SANDBOX" if kind == "card" else None,
        "captured": False,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": intent["on_behalf_of"],
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": payment_method["id"],
        "payment_method_details": {"type": kind, kind: _charged_with(payment_method, intent["amount"])},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": {"amount": None, **transfer} if transfer else None,
        "transfer_group": intent["transfer_group"],
    }


# What a charge copies from its payment method.
_CARD_FIELDS = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
_BANK_FIELDS = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")


def _charged_with(payment_method: JsonObject, amount: int) -> JsonObject:
    kind = payment_method["type"]
    source = payment_method[kind]
    names = _CARD_FIELDS if kind == "card" else _BANK_FIELDS
    shared = {key: source[key] for key in names if key in source}
    if kind != "card":
        return shared
    return {
        **shared,
        "amount_authorized": amount,
        "authorization_code": random_text(6).upper(),
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": source["brand"],
        "network_token": {"used": False},
        "network_transaction_id": random_text(15),
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": source["regulated_status"],
        "three_d_secure": None,
        "wallet": source["wallet"],
    }


def authenticated() -> JsonObject:
    """``three_d_secure`` of a charge whose buyer passed the challenge."""
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": random_text(32).lower(),
        "version": "2.2.0",
    }


def outcome_approved() -> JsonObject:
    """``outcome`` of a charge that went through."""
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def outcome_declined(decline: Decline) -> JsonObject:
    """``outcome`` of a charge that the issuer refused, or that Stripe blocked."""
    if decline.blocked:
        return outcome_approved() | {
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_level": "highest",
            "risk_score": 90,
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
        }
    return outcome_approved() | {
        "advice_code": decline.advice,
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def payment_error(decline: Decline, charge: JsonObject, payment_method: JsonObject) -> JsonObject:
    """``last_payment_error`` after a declined charge."""
    return {
        "advice_code": decline.advice,
        "charge": charge["id"],
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": snapshot(payment_method),
        "type": "card_error",
    }


def authentication_error(payment_method: JsonObject) -> JsonObject:
    """``last_payment_error`` after a failed 3-D Secure step, which makes no charge."""
    return {
        "code": "payment_intent_authentication_failure",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
        "message": (
            "We are unable to authenticate your payment method. Please choose a different payment method and try again."
        ),
        "payment_method": snapshot(payment_method),
        "type": "invalid_request_error",
    }


def build_balance_transaction(charge: JsonObject, fee: int, created: int) -> JsonObject:
    """What a charge brings to the balance, in the charge's own currency."""
    currency = charge["currency"]
    return {
        "id": new_id("txn_3"),
        "object": "balance_transaction",
        "amount": charge["amount"],
        "available_on": created + 2 * 24 * 3600,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": charge["description"],
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ],
        "net": charge["amount"] - fee,
        "reporting_category": "charge",
        "source": charge["id"],
        "status": "pending",
        "type": "charge" if charge["id"].startswith("ch_") else "payment",
    }
