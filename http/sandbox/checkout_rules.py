"""What a Checkout Session may be asked for (https://docs.stripe.com/api/checkout/sessions/create).

The names and types of parameters have been checked against the SDK before; here are the rules between values. Raises
StripeError throughout.
"""

from urllib.parse import urlsplit

from paywindow.sandbox.accounts import check_can_receive
from paywindow.sandbox.customers import living_customer
from paywindow.sandbox.errors import StripeError, invalid, missing_parameter, unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.metadata import check_length, checked_metadata
from paywindow.sandbox.money import check_currency, check_fraction, check_total
from paywindow.sandbox.session_object import Totals
from paywindow.sandbox.store import Store

MINIMUM_LIFE = 30 * 60
MAXIMUM_LIFE = 24 * 3600
_MAXIMUM_REFERENCE = 200
_MAXIMUM_LINE_ITEMS = 100

_MODELLED = frozenset(
    [
        "adaptive_pricing",
        "allow_promotion_codes",
        "allowed_payment_method_types",
        "automatic_tax",
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
        "custom_text",
        "customer",
        "customer_creation",
        "customer_email",
        "excluded_payment_method_types",
        "expand",
        "expires_at",
        "line_items",
        "locale",
        "metadata",
        "mode",
        "origin_context",
        "payment_intent_data",
        "saved_payment_method_options",
        "submit_type",
        "success_url",
        "ui_mode",
    ]
)
_MODELLED_INTENT = frozenset(
    [
        "application_fee_amount",
        "capture_method",
        "description",
        "metadata",
        "on_behalf_of",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ]
)
# Values that would change what happens in a way that is not modelled.
_REFUSED_VALUES = {
    ("ui_mode", "embedded_page"),
    ("ui_mode", "elements"),
    ("ui_mode", "form"),
    ("allow_promotion_codes", True),
    ("billing_address_collection", "required"),
    ("customer_creation", "always"),
    ("submit_type", "subscribe"),
}


def check_create(store: Store, params: JsonObject, now: int) -> tuple[Totals, int]:
    """Check all parameters of a create and put metadata in order; the totals and ``expires_at``."""
    _check_modelled(params)
    _check_mode(params)
    _check_urls(params)
    check_length(params.get("client_reference_id", ""), _MAXIMUM_REFERENCE, "client_reference_id")
    _check_email(params)
    _check_customer(store, params)
    if "metadata" in params:
        params["metadata"] = checked_metadata(params["metadata"] or {})
    totals = _check_line_items(params)
    _check_intent_data(store, params, totals)
    return totals, _expires_at(params, now)


def _check_modelled(params: JsonObject) -> None:
    for name, value in params.items():
        if name not in _MODELLED:
            raise unsupported(name)
        if isinstance(value, str | bool) and (name, value) in _REFUSED_VALUES:
            raise unsupported(name, f"value {value} of the parameter")
    if params.get("automatic_tax", {}).get("enabled"):
        raise unsupported("automatic_tax[enabled]")
    if params.get("adaptive_pricing", {}).get("enabled"):
        raise unsupported("adaptive_pricing[enabled]", "value true of the parameter")


def _check_mode(params: JsonObject) -> None:
    mode = params.get("mode")
    if mode is None:
        raise missing_parameter("mode")
    if mode != "payment":
        raise unsupported("mode", f"value {mode} of the parameter")


def _check_urls(params: JsonObject) -> None:
    if "success_url" not in params:
        raise missing_parameter("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params and not _is_web_address(params[name]):
            raise invalid("Not a valid URL", name, "url_invalid")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _check_email(params: JsonObject) -> None:
    email = params.get("customer_email")
    if email is not None and not _looks_like_email(email):
        raise invalid(f"Invalid email address: {email}", "customer_email", "email_invalid")


def _check_customer(store: Store, params: JsonObject) -> None:
    if "customer" not in params:
        if params.get("saved_payment_method_options", {}).get("payment_method_save") == "enabled":
            raise invalid(
                "`saved_payment_method_options[payment_method_save]` needs a customer to save for.",
                "saved_payment_method_options[payment_method_save]",
            )
        return
    if "customer_email" in params:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer_email")
    living_customer(store, params["customer"], status=400)


def _looks_like_email(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    return bool(name and at and "." in domain.strip(".")) and not any(character.isspace() for character in text)


def _check_line_items(params: JsonObject) -> Totals:
    items = params.get("line_items")
    if not items:
        raise missing_parameter("line_items")
    if len(items) > _MAXIMUM_LINE_ITEMS:
        raise invalid(f"You may only specify up to {_MAXIMUM_LINE_ITEMS} line items.", "line_items")
    amounts = [_check_line_item(item, f"line_items[{index}]") for index, item in enumerate(items)]
    currency = items[0]["price_data"]["currency"]
    for index, item in enumerate(items):
        if item["price_data"]["currency"] != currency:
            raise invalid("All line items must have the same currency.", f"line_items[{index}][price_data][currency]")
    total = sum(amounts)
    check_total(total, currency)
    return Totals(total, currency)


def _check_line_item(item: JsonObject, param: str) -> int:
    for name in item:
        if name not in ("price_data", "quantity"):
            raise unsupported(f"{param}[{name}]")
    if "price_data" not in item:
        raise missing_parameter(f"{param}[price_data]")
    if "quantity" not in item:
        raise missing_parameter(f"{param}[quantity]")
    if item["quantity"] < 1:
        raise invalid("This value must be greater than or equal to 1.", f"{param}[quantity]")
    return _check_price(item["price_data"], f"{param}[price_data]") * int(item["quantity"])


def _check_price(price: JsonObject, param: str) -> int:
    for name in price:
        if name not in ("currency", "product_data", "unit_amount"):
            raise unsupported(f"{param}[{name}]")
    for name in ("product_data", "unit_amount"):
        if name not in price:
            raise missing_parameter(f"{param}[{name}]")
    price["currency"] = check_currency(price["currency"], f"{param}[currency]")
    amount: int = price["unit_amount"]
    if amount < 0:
        raise invalid("This value must be greater than or equal to 0.", f"{param}[unit_amount]")
    check_fraction(amount, price["currency"], f"{param}[unit_amount]")
    return amount


def _check_intent_data(store: Store, params: JsonObject, totals: Totals) -> None:
    data: JsonObject = params.get("payment_intent_data", {})
    for name in data:
        if name not in _MODELLED_INTENT:
            raise unsupported(f"payment_intent_data[{name}]")
    if data.get("capture_method") == "manual":
        raise unsupported("payment_intent_data[capture_method]", "value manual of the parameter")
    if "metadata" in data:
        data["metadata"] = checked_metadata(data["metadata"], "payment_intent_data[metadata]")
    _check_connect(store, data, totals)


def _check_connect(store: Store, data: JsonObject, totals: Totals) -> None:
    param = "payment_intent_data[application_fee_amount]"
    fee = data.get("application_fee_amount")
    destination = data.get("transfer_data", {}).get("destination")
    if destination is not None:
        place = "payment_intent_data[transfer_data][destination]"
        check_can_receive(store.get("account", destination, place, status=400), place)
    if "amount" in data.get("transfer_data", {}):
        raise unsupported("payment_intent_data[transfer_data][amount]")
    if "on_behalf_of" in data:
        place = "payment_intent_data[on_behalf_of]"
        _check_can_charge(store.get("account", data["on_behalf_of"], place, status=400), place)
    if fee is None:
        return
    if destination is None:
        raise invalid("Can only apply an application_fee_amount when the PaymentIntent has a destination.", param)
    if not 0 < fee <= totals.amount:
        raise invalid("Your application fee must be positive and no larger than the amount of the charge.", param)


def _check_can_charge(account: JsonObject, param: str) -> None:
    if account["capabilities"].get("card_payments") != "active":
        raise StripeError(
            f"The account {account['id']} needs the capability card_payments to be charged on behalf of.",
            code="account_invalid",
            param=param,
        )


def _expires_at(params: JsonObject, now: int) -> int:
    """``expires_at`` as given, or exactly 24 hours after creation."""
    expires_at: int | None = params.get("expires_at")
    if expires_at is None:
        return now + MAXIMUM_LIFE
    if expires_at < now + MINIMUM_LIFE:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", "expires_at"
        )
    if expires_at >= now + MAXIMUM_LIFE:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", "expires_at"
        )
    return expires_at
