"""The Checkout Session object, with every field that Stripe sends (https://docs.stripe.com/api/checkout/sessions/object)."""

from dataclasses import dataclass

from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject

_NO_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}


@dataclass(frozen=True, slots=True)
class Totals:
    """What the line items add up to."""

    amount: int
    currency: str


def build_session(
    params: JsonObject,
    *,
    totals: Totals,
    customer: JsonObject | None,
    method_types: list[str],
    created: int,
    expires_at: int,
    page_base: str,
) -> JsonObject:
    """A new, open session in ``mode=payment`` on Stripe's hosted page."""
    session_id = new_id("cs_test_a1")
    session = {
        "id": session_id,
        "object": "checkout.session",
        **_money(params, totals),
        **_buyer(params, customer),
        **_page(params, f"{page_base}/c/pay/{session_id}"),
        **_options(params),
        **_NOT_MODELLED,
        "saved_payment_method_options": _saving(params),
        "allowed_payment_method_types": params.get("allowed_payment_method_types"),
        "created": created,
        "expires_at": expires_at,
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": method_types,
        "payment_status": "unpaid",
        "status": "open",
    }
    # The one field that is absent, not null, when it was not given.
    if "excluded_payment_method_types" in params:
        session["excluded_payment_method_types"] = params["excluded_payment_method_types"]
    return session


def customer_details(email: str | None, name: str | None = None, country: str | None = None) -> JsonObject:
    """What the buyer typed on the page (or what ``customer_email`` prefills)."""
    return {
        "address": {**_NO_ADDRESS, "country": country} if country else None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _money(params: JsonObject, totals: Totals) -> JsonObject:
    return {
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", False)},
        "amount_subtotal": totals.amount,
        "amount_total": totals.amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "currency": totals.currency,
        "currency_conversion": None,
        "discounts": [],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }


def _buyer(params: JsonObject, customer: JsonObject | None) -> JsonObject:
    typed_ahead = params.get("customer_email")
    email = customer["email"] if customer is not None else typed_ahead
    return {
        "client_reference_id": params.get("client_reference_id"),
        "collected_information": None,
        "customer": params.get("customer"),
        "customer_account": None,
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": customer_details(email) if email else None,
        "customer_email": typed_ahead,
    }


def _saving(params: JsonObject) -> JsonObject | None:
    """What a customer's page shows of saved payment methods; nothing without a customer."""
    if "customer" not in params:
        return None
    given = params.get("saved_payment_method_options", {})
    return {
        "allow_redisplay_filters": given.get("allow_redisplay_filters", ["always"]),
        "payment_method_remove": given.get("payment_method_remove", "disabled"),
        "payment_method_save": given.get("payment_method_save"),
    }


def _page(params: JsonObject, url: str) -> JsonObject:
    return {
        "cancel_url": params.get("cancel_url"),
        "client_secret": None,
        "locale": params.get("locale"),
        "origin_context": params.get("origin_context"),
        "submit_type": params.get("submit_type"),
        "success_url": params["success_url"],
        "ui_mode": "hosted_page",
        "url": url,
    }


_TEXT_PLACES = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")


def _options(params: JsonObject) -> JsonObject:
    return {
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "billing_address_collection": params.get("billing_address_collection"),
        "custom_fields": [],
        "custom_text": {place: params.get("custom_text", {}).get(place) or None for place in _TEXT_PLACES},
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "phone_number_collection": {"enabled": False},
        "tax_id_collection": {"enabled": False, "required": "never"},
    }


# Fields of features that the sandbox refuses to be asked for.
_NOT_MODELLED: JsonObject = {
    "after_expiration": None,
    "branding_settings": {
        "background_color": "#ffffff",
        "border_style": "rounded",
        "button_color": "#0570de",
        "display_name": "Sandbox",
        "font_family": "default",
        "icon": None,
        "logo": None,
    },
    "consent": None,
    "consent_collection": None,
    "integration_identifier": None,
    "invoice": None,
    "invoice_creation": {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    },
    "managed_payments": {"enabled": False},
    "payment_link": None,
    "payment_method_configuration_details": None,
    "permissions": None,
    "recovered_from": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "subscription": None,
    "wallet_options": None,
}


def build_line_item(item: JsonObject, currency: str, created: int) -> JsonObject:
    """A line item with the price that Stripe makes up for inline ``price_data``."""
    price_data, quantity = item["price_data"], item["quantity"]
    total = price_data["unit_amount"] * quantity
    product = price_data["product_data"]
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": product["name"],
        "metadata": {},
        "price": _build_price(price_data["unit_amount"], currency, created),
        "quantity": quantity,
    }


def _build_price(unit_amount: int, currency: str, created: int) -> JsonObject:
    return {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod"),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }
