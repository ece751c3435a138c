"""``GET /v1/account``: the platform's own account (https://docs.stripe.com/api/accounts/object)."""

from stripe.params import AccountRetrieveCurrentParams

from paywindow.sandbox.account_object import build_requirements, build_settings
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.routing import Call, Route


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
        "future_requirements": build_requirements(),
        "metadata": {},
        "payouts_enabled": True,
        "requirements": build_requirements(),
        "settings": build_settings(display_name="Sandbox"),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


ROUTES = [Route("GET", "/v1/account", _retrieve, AccountRetrieveCurrentParams)]
