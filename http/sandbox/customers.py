"""Customers (https://docs.stripe.com/api/customers): who a saved payment method belongs to.

A deleted customer stays readable as such, and takes its payment methods along.
"""

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid, no_such, unsupported
from paywindow.sandbox.events import Cause, previous_attributes
from paywindow.sandbox.ids import new_id, random_text
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.metadata import check_length, checked_metadata, merged_metadata
from paywindow.sandbox.store import Store

_MODELLED = frozenset(["description", "email", "expand", "invoice_settings", "metadata", "name", "phone"])
_MAXIMUM_EMAIL = 512


def create_customer(sandbox: Sandbox, params: JsonObject, cause: Cause) -> JsonObject:
    """A new customer. Raises StripeError for what is not modelled."""
    _check_modelled(params)
    customer = sandbox.store.add(_build(params, sandbox.clock.now()))
    sandbox.events.emit("customer.created", customer, cause=cause)
    return customer


def update_customer(sandbox: Sandbox, customer_id: str, params: JsonObject, cause: Cause) -> JsonObject:
    """Change a customer; an empty text unsets a field."""
    _check_modelled(params)
    customer = living_customer(sandbox.store, customer_id)
    before = snapshot(customer)
    for name in ("description", "email", "name", "phone"):
        if name in params:
            customer[name] = params[name] or None
    if "metadata" in params:
        customer["metadata"] = merged_metadata(customer["metadata"], params["metadata"])
    if "invoice_settings" in params:
        _set_default(sandbox.store, customer, params["invoice_settings"])
    changed = previous_attributes(before, customer)
    if changed:
        sandbox.events.emit("customer.updated", customer, cause=cause, previous=changed)
    return customer


def delete_customer(sandbox: Sandbox, customer_id: str, cause: Cause) -> JsonObject:
    """Delete for good; what is left says that it is deleted. Its payment methods go without events of their own."""
    customer = living_customer(sandbox.store, customer_id)
    last_seen = snapshot(customer)
    for method in sandbox.store.oldest_first("payment_method"):
        if method["customer"] == customer_id:
            method["customer"] = None
    customer.clear()
    customer.update(id=customer_id, object="customer", deleted=True)
    sandbox.events.emit("customer.deleted", last_seen, cause=cause)
    return customer


def living_customer(store: Store, customer_id: str, param: str = "customer", status: int = 404) -> JsonObject:
    """The customer; raises ``resource_missing`` when there is none, or it was deleted."""
    customer = store.get("customer", customer_id, param, status)
    if customer.get("deleted"):
        raise no_such("customer", customer_id, param, status)
    return customer


def _check_modelled(params: JsonObject) -> None:
    for name in params:
        if name not in _MODELLED:
            raise unsupported(name)
    check_length(params.get("email", ""), _MAXIMUM_EMAIL, "email")
    for name in params.get("invoice_settings", {}):
        if name != "default_payment_method":
            raise unsupported(f"invoice_settings[{name}]")


def _set_default(store: Store, customer: JsonObject, given: JsonObject) -> None:
    param = "invoice_settings[default_payment_method]"
    chosen = given.get("default_payment_method") or None
    if chosen is not None and store.get("payment_method", chosen, param, status=400)["customer"] != customer["id"]:
        raise invalid("The customer does not have a payment method with the ID " + chosen, param, "resource_missing")
    customer["invoice_settings"]["default_payment_method"] = chosen


def _build(params: JsonObject, created: int) -> JsonObject:
    if params.get("invoice_settings", {}).get("default_payment_method"):
        raise unsupported("invoice_settings[default_payment_method]")
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description"),
        "discount": None,
        "email": params.get("email"),
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": checked_metadata(params.get("metadata") or {}),
        "name": params.get("name"),
        "next_invoice_sequence": 1,
        "phone": params.get("phone"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
