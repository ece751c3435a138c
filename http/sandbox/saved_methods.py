"""Payment methods that a customer keeps (https://docs.stripe.com/payments/checkout/save-during-payment).

Checkout attaches a method when the buyer ticked the box, and offers a returning customer those whose ``allow_redisplay`` is
among the session's filters.
"""

from paywindow.sandbox.cards import TestCard
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.customers import living_customer
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.events import NO_REQUEST, Cause
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.methods import Buyer, CardMethod, SavedCard
from paywindow.sandbox.payment_objects import build_payment_method
from paywindow.sandbox.store import Store


def methods_of(store: Store, customer_id: str) -> list[JsonObject]:
    """What is attached to a customer, newest first."""
    return [method for method in store.newest_first("payment_method") if method["customer"] == customer_id]


def offered(store: Store, session: JsonObject) -> list[JsonObject]:
    """The saved cards that the page of a session shows, newest first."""
    options = session["saved_payment_method_options"]
    if session["customer"] is None or options is None:
        return []
    filters = options["allow_redisplay_filters"]
    return [
        method
        for method in methods_of(store, session["customer"])
        if method["type"] == "card" and method["allow_redisplay"] in filters
    ]


def saved_card(store: Store, session: JsonObject, method_id: str) -> SavedCard:
    """The saved card with which a buyer wants to pay. Raises StripeError when the page does not offer it."""
    if not any(method["id"] == method_id for method in offered(store, session)):
        raise invalid(f"This Checkout Session does not offer {method_id}.", "method")
    return SavedCard(method_id, store.method_cards[method_id])


def attach(sandbox: Sandbox, method: JsonObject, customer_id: str, cause: Cause = NO_REQUEST) -> JsonObject:
    """Give a payment method to a customer; to the same one twice changes nothing."""
    if method["customer"] == customer_id:
        return method
    customer = living_customer(sandbox.store, customer_id, status=400)
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.", "payment_method")
    if method["id"] in sandbox.store.detached:
        raise invalid(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again.",
            "payment_method",
        )
    method["customer"] = customer["id"]
    sandbox.events.emit("payment_method.attached", method, cause=cause)
    return method


def detach(sandbox: Sandbox, method: JsonObject, cause: Cause = NO_REQUEST) -> JsonObject:
    """Take a payment method away from its customer, for good."""
    customer_id = method["customer"]
    if customer_id is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            "payment_method",
        )
    customer = sandbox.store.get("customer", customer_id)
    if customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
    method["customer"] = None
    sandbox.store.detached.add(method["id"])
    sandbox.events.emit("payment_method.detached", method, cause=cause, previous={"customer": customer_id})
    return method


def save_card(sandbox: Sandbox, customer_id: str, card: TestCard, wallet: str | None = None) -> JsonObject:
    """A card that somebody attached elsewhere: in the dashboard, or in another program of the account."""
    customer = living_customer(sandbox.store, customer_id, status=400)
    buyer = Buyer(customer["email"], customer["name"])
    method = build_payment_method(CardMethod(card, wallet=wallet), buyer, sandbox.clock.now())
    method["allow_redisplay"] = "always"
    sandbox.store.method_cards[method["id"]] = card
    return attach(sandbox, sandbox.store.add(method), customer_id)


def renew(sandbox: Sandbox, method: JsonObject, month: int, year: int, *, automatically: bool) -> JsonObject:
    """A card gets a new expiry: by the network's updater, or because somebody typed it."""
    previous = {"card": {"exp_month": method["card"]["exp_month"], "exp_year": method["card"]["exp_year"]}}
    method["card"].update(exp_month=month, exp_year=year)
    kind = "payment_method.automatically_updated" if automatically else "payment_method.updated"
    sandbox.events.emit(kind, method, previous=previous)
    return method
