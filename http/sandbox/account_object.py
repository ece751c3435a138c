"""The connected Account, its capabilities and its onboarding links, with every field that Stripe sends.

https://docs.stripe.com/api/accounts/object, https://docs.stripe.com/api/capabilities/object,
https://docs.stripe.com/api/account_links/object
"""

from typing import Any

from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject

ONBOARDING_FIELDS = (
    "business_profile.url",
    "business_type",
    "external_account",
    "representative.first_name",
    "representative.last_name",
    "tos_acceptance.date",
    "tos_acceptance.ip",
)
"""What Stripe wants to know of somebody who has filled in nothing yet."""


def build_account(params: JsonObject, *, country: str, currency: str, created: int) -> JsonObject:
    """An account whose owner has filled in nothing: it can take no charges and gets no payouts."""
    account_id = new_id("acct_1")
    requested = {name: "inactive" for name, wish in params.get("capabilities", {}).items() if wish.get("requested")}
    return {
        "id": account_id,
        "object": "account",
        "business_profile": _business_profile(params.get("business_profile", {})),
        "business_type": params.get("business_type"),
        "capabilities": requested,
        "charges_enabled": False,
        "controller": _controller(params["controller"]),
        "country": params.get("country", country),
        "created": created,
        "default_currency": params.get("default_currency", currency),
        "details_submitted": False,
        "email": params.get("email"),
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{account_id}/external_accounts",
        },
        "future_requirements": build_requirements(),
        "metadata": params.get("metadata", {}),
        "payouts_enabled": False,
        "requirements": build_requirements(
            currently_due=list(ONBOARDING_FIELDS),
            past_due=list(ONBOARDING_FIELDS),
            disabled_reason="requirements.past_due",
        ),
        "settings": build_settings(display_name=None),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "none",
    }


def build_requirements(
    *,
    currently_due: list[str] | None = None,
    past_due: list[str] | None = None,
    disabled_reason: str | None = None,
    current_deadline: int | None = None,
) -> JsonObject:
    """What Stripe still wants to know, and by when; nothing by default."""
    due = currently_due or []
    return {
        "alternatives": [],
        "current_deadline": current_deadline,
        "currently_due": due,
        "disabled_reason": disabled_reason,
        "errors": [],
        "eventually_due": list(due),
        "past_due": past_due or [],
        "pending_verification": [],
    }


def build_settings(display_name: str | None) -> JsonObject:
    """``settings`` as of an account that has changed none."""
    descriptor = display_name.upper() if display_name else None
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
        "dashboard": {"display_name": display_name, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
        "payments": {
            "statement_descriptor": descriptor,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "sepa_debit_payments": {},
    }


def build_capability(account: JsonObject, name: str) -> JsonObject:
    """One capability, as ``capability.updated`` carries it."""
    status = account["capabilities"][name]
    required = account["requirements"]
    due = required["currently_due"] if status != "active" else []
    requirements = {
        "alternatives": [],
        "current_deadline": required["current_deadline"],
        "currently_due": due,
        "disabled_reason": "requirements.fields_needed" if due else None,
        "errors": [],
        "eventually_due": due,
        "past_due": due,
        "pending_verification": [],
    }
    return {
        "id": name,
        "object": "capability",
        "account": account["id"],
        "future_requirements": {**requirements, "currently_due": [], "disabled_reason": None}
        | {"eventually_due": [], "past_due": [], "current_deadline": None},
        "requested": True,
        "requested_at": account["created"],
        "requirements": requirements,
        "status": status,
    }


def build_link(url: str, created: int, expires_at: int) -> JsonObject:
    """An onboarding link; it has no id."""
    return {"object": "account_link", "created": created, "expires_at": expires_at, "url": url}


def _controller(asked: JsonObject) -> JsonObject:
    return {
        "fees": {"payer": asked.get("fees", {}).get("payer", "account")},
        "is_controller": True,
        "losses": {"payments": asked.get("losses", {}).get("payments", "stripe")},
        "requirement_collection": asked.get("requirement_collection", "stripe"),
        "stripe_dashboard": {"type": asked.get("stripe_dashboard", {}).get("type", "full")},
        "type": "application",
    }


_PROFILE_TEXTS = ("mcc", "name", "product_description", "support_email", "support_phone", "support_url", "url")


def _business_profile(asked: JsonObject) -> JsonObject:
    profile: dict[str, Any] = {name: asked.get(name) for name in _PROFILE_TEXTS}
    return {
        **profile,
        "annual_revenue": None,
        "estimated_worker_count": None,
        "minority_owned_business_designation": None,
        "support_address": None,
    }
