"""What buyers do on the hosted page, and what it does to PaymentIntent, charge and session.

The order of the events is Stripe's: a card that pays yields ``payment_intent.created``, ``charge.succeeded``,
``payment_intent.succeeded``, ``checkout.session.completed``; a decline yields ``charge.failed``,
``payment_intent.payment_failed`` and leaves the session open (https://docs.stripe.com/payments/checkout/how-checkout-works).
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from paywindow.sandbox.cards import Decline, TestCard
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.disputes import open_dispute
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.methods import Buyer, CardMethod, DelayedMethod, SavedCard
from paywindow.sandbox.payment_objects import (
    authenticated,
    authentication_error,
    build_charge,
    build_intent,
    build_payment_method,
    outcome_approved,
    outcome_declined,
    payment_error,
)
from paywindow.sandbox.saved_methods import attach
from paywindow.sandbox.session_object import customer_details

Outcome: TypeAlias = Literal["succeeded", "declined", "requires_action", "processing"]

_BANK_REFUSAL = Decline(
    "payment_intent_payment_attempt_failed",
    "generic_decline",
    "The bank debit was returned by the customer's bank.",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a buyer's step. ``completed`` is the ``checkout.session.completed`` event, if there was one."""

    outcome: Outcome
    session: JsonObject
    intent: JsonObject
    completed: JsonObject | None = None

    @property
    def message(self) -> str | None:
        """Why it failed, in the words that the buyer sees."""
        error = self.intent["last_payment_error"]
        return error["message"] if error and self.outcome == "declined" else None


def pay(
    sandbox: Sandbox,
    session: JsonObject,
    method: CardMethod | DelayedMethod | SavedCard,
    buyer: Buyer,
    *,
    save: bool = False,
) -> Result:
    """The buyer confirms, and perhaps has the method kept for next time.

    Raises StripeError when the session is not open or does not offer the method or the box.
    """
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}; it cannot be paid.")
    if method.type not in session["payment_method_types"]:
        raise invalid(f"This Checkout Session does not offer {method.type}.", "method")
    if save and not offers_saving(session):
        raise invalid("This Checkout Session does not offer to save payment methods.", "save")
    sandbox.store.checkouts[session["id"]].save = save
    intent = _confirm(sandbox, session, method, buyer)
    if isinstance(method, DelayedMethod):
        return _submit(sandbox, session, intent)
    if method.card.authentication:
        return _ask_for_authentication(sandbox, session, intent, method.card)
    return _charge_card(sandbox, session, intent, method.card)


def offers_saving(session: JsonObject) -> bool:
    """Whether the page has the box."""
    options = session["saved_payment_method_options"]
    return options is not None and options["payment_method_save"] == "enabled"


def authenticate(sandbox: Sandbox, session: JsonObject, *, passed: bool) -> Result:
    """The buyer ends the 3-D Secure step. Raises StripeError when none is open."""
    private = sandbox.store.checkouts[session["id"]]
    card, private.authenticating = private.authenticating, None
    if card is None:
        raise invalid("No 3-D Secure step is open for this Checkout Session.")
    intent = sandbox.store.get("payment_intent", session["payment_intent"])
    intent["next_action"] = None
    if passed:
        return _charge_card(sandbox, session, intent, card)
    error = authentication_error(sandbox.store.get("payment_method", intent["payment_method"]))
    intent.update(status="requires_payment_method", last_payment_error=error, payment_method=None)
    sandbox.events.emit("payment_intent.payment_failed", intent)
    return Result("declined", session, intent)


def settle_delayed(sandbox: Sandbox, session: JsonObject, *, paid: bool) -> Result:
    """The bank answers a delayed payment. Raises StripeError when none is processing."""
    intent = sandbox.store.find("payment_intent", session["payment_intent"] or "")
    if intent is None or intent["status"] != "processing":
        raise invalid("This Checkout Session has no delayed payment that is processing.")
    charge = sandbox.store.get("charge", intent["latest_charge"])
    if paid:
        _succeed(sandbox, intent, charge)
        session["payment_status"] = "paid"
        sandbox.events.emit("checkout.session.async_payment_succeeded", session)
        return Result("succeeded", session, intent)
    _fail(sandbox, intent, charge, _BANK_REFUSAL)
    sandbox.events.emit("checkout.session.async_payment_failed", session)
    return Result("declined", session, intent)


def _confirm(
    sandbox: Sandbox, session: JsonObject, method: CardMethod | DelayedMethod | SavedCard, buyer: Buyer
) -> JsonObject:
    """The session's PaymentIntent, created by the first confirmation, with the payment method attached."""
    store, now = sandbox.store, sandbox.clock.now()
    private = store.checkouts[session["id"]]
    private.authenticating = None
    if session["payment_intent"] is None:
        intent = store.add(build_intent(session, private.payment_intent_data, now))
        session["payment_intent"] = intent["id"]
        sandbox.events.emit("payment_intent.created", intent)
    intent = store.get("payment_intent", session["payment_intent"])
    if isinstance(method, SavedCard):
        method_id = method.method_id
    else:
        buyer = Buyer(buyer.email or session["customer_email"], buyer.name)
        method_id = store.add(build_payment_method(method, buyer, now))["id"]
        if isinstance(method, CardMethod):
            store.method_cards[method_id] = method.card
    intent.update(payment_method=method_id, last_payment_error=None, next_action=None)
    return intent


def _ask_for_authentication(sandbox: Sandbox, session: JsonObject, intent: JsonObject, card: TestCard) -> Result:
    sandbox.store.checkouts[session["id"]].authenticating = card
    page = f"{session['url']}/authenticate"
    intent.update(
        status="requires_action",
        next_action={"type": "redirect_to_url", "redirect_to_url": {"return_url": session["url"], "url": page}},
    )
    sandbox.events.emit("payment_intent.requires_action", intent)
    return Result("requires_action", session, intent)


def _charge_card(sandbox: Sandbox, session: JsonObject, intent: JsonObject, card: TestCard) -> Result:
    charge = _new_charge(sandbox, intent)
    sandbox.store.cards[charge["id"]] = card
    if card.authentication:
        charge["payment_method_details"]["card"]["three_d_secure"] = authenticated()
    if card.decline is not None:
        _fail(sandbox, intent, charge, card.decline)
        return Result("declined", session, intent)
    _succeed(sandbox, intent, charge)
    completed = _complete(sandbox, session, charge, payment_status="paid") if session["status"] == "open" else None
    if card.dispute is not None:
        open_dispute(sandbox, charge, reason=card.dispute.reason, inquiry=card.dispute.inquiry)
    return Result("succeeded", session, intent, completed)


def _submit(sandbox: Sandbox, session: JsonObject, intent: JsonObject) -> Result:
    """A bank debit is on its way: the session is complete, but unpaid."""
    charge = _new_charge(sandbox, intent)
    intent.update(status="processing", latest_charge=charge["id"])
    completed = _complete(sandbox, session, charge, payment_status="unpaid")
    sandbox.events.emit("charge.pending", charge)
    sandbox.events.emit("payment_intent.processing", intent)
    return Result("processing", session, intent, completed)


def _new_charge(sandbox: Sandbox, intent: JsonObject) -> JsonObject:
    payment_method = sandbox.store.get("payment_method", intent["payment_method"])
    return sandbox.store.add(build_charge(intent, payment_method, sandbox.clock.now()))


def _succeed(sandbox: Sandbox, intent: JsonObject, charge: JsonObject) -> None:
    amount = charge["amount"]
    charge.update(status="succeeded", paid=True, captured=True, amount_captured=amount, outcome=outcome_approved())
    charge["receipt_url"] = f"https://pay.stripe.com/receipts/payment/{charge['id']}"
    intent.update(status="succeeded", amount_received=amount, latest_charge=charge["id"])
    sandbox.events.emit("charge.succeeded", charge)
    sandbox.events.emit("payment_intent.succeeded", intent)
    sandbox.without_fee.append(charge["id"])


def _fail(sandbox: Sandbox, intent: JsonObject, charge: JsonObject, decline: Decline) -> None:
    payment_method = sandbox.store.get("payment_method", charge["payment_method"])
    charge.update(
        status="failed", failure_code=decline.code, failure_message=decline.message, outcome=outcome_declined(decline)
    )
    intent.update(
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error=payment_error(decline, charge, payment_method),
        payment_method=None,
    )
    sandbox.events.emit("charge.failed", charge)
    sandbox.events.emit("payment_intent.payment_failed", intent)


def _complete(sandbox: Sandbox, session: JsonObject, charge: JsonObject, *, payment_status: str) -> JsonObject:
    billing = charge["billing_details"]
    if sandbox.store.checkouts[session["id"]].save:
        method = sandbox.store.get("payment_method", charge["payment_method"])
        method["allow_redisplay"] = "always"
        attach(sandbox, method, session["customer"])
    session.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=customer_details(billing["email"], billing["name"], billing["address"]["country"]),
    )
    return sandbox.events.emit("checkout.session.completed", session)
