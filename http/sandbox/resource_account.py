"""``GET /v1/account``: the platform's own account (https://docs.stripe.com/api/accounts/object)."""

from stripe.params import AccountRetrieveCurrentParams

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.routing import Call, Route


def _requirements() -> JsonObject:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }


def _settings() -> JsonObject:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
        "payments": {
            "statement_descriptor": "SANDBOX",
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "sepa_debit_payments": {},
    }


def _retrieve(sandbox: Sandbox, call: Call) -> JsonObject:
    config = sandbox.config
    return {
        "id": sandbox.account_id,
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": config.account_country,
        "created": sandbox.created,
        "default_currency": config.account_currency,
        "details_submitted": True,
        "email": "owner@sandbox.example",
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{sandbox.account_id}/external_accounts",
        },
        "future_requirements": _requirements(),
        "metadata": {},
        "payouts_enabled": True,
        "requirements": _requirements(),
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


ROUTES = [Route("GET", "/v1/account", _retrieve, AccountRetrieveCurrentParams)]
