"""The life of a Checkout Session: created open, then complete (see :mod:`.payments`) or expired, never back."""

import heapq

from paywindow.sandbox.checkout_rules import check_create
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.events import NO_REQUEST, Cause
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.methods import eligible_types
from paywindow.sandbox.session_object import build_line_item, build_session
from paywindow.sandbox.store import CheckoutPrivate


def create_session(sandbox: Sandbox, params: JsonObject, *, page_base: str, cause: Cause) -> JsonObject:
    """Open a session. Stripe sends no event for this."""
    now = sandbox.clock.now()
    totals, expires_at = check_create(sandbox.store, params, now)
    allowed, excluded = params.get("allowed_payment_method_types"), params.get("excluded_payment_method_types")
    session = build_session(
        params,
        totals=totals,
        customer=sandbox.store.find("customer", params.get("customer", "")),
        method_types=eligible_types(totals.currency, allowed, excluded),
        created=now,
        expires_at=expires_at,
        page_base=page_base,
    )
    sandbox.store.checkouts[session["id"]] = CheckoutPrivate(
        line_items=[build_line_item(item, totals.currency, now) for item in params["line_items"]],
        payment_intent_data=params.get("payment_intent_data", {}),
        idempotency_key=cause.idempotency_key,
    )
    heapq.heappush(sandbox.expiries, (expires_at, session["id"]))
    return sandbox.store.add(session)


def expire_session(sandbox: Sandbox, session: JsonObject, *, cause: Cause = NO_REQUEST) -> JsonObject:
    """Close an open session unpaid; raises StripeError (400 without a code) in any other state."""
    if session["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session['status']}`."
        )
    session.update(status="expired", url=None)
    _cancel_intent(sandbox, session, cause)
    sandbox.events.emit("checkout.session.expired", session, cause=cause)
    return session


def _cancel_intent(sandbox: Sandbox, session: JsonObject, cause: Cause) -> None:
    """An expired session takes its unpaid PaymentIntent along, unless 3-D Secure is set to outlive it."""
    private = sandbox.store.checkouts[session["id"]]
    survives = private.authenticating is not None and sandbox.config.authentication_survives_expiry
    if session["payment_intent"] is None or survives:
        return
    private.authenticating = None
    intent = sandbox.store.get("payment_intent", session["payment_intent"])
    now = sandbox.clock.now()
    intent.update(status="canceled", canceled_at=now, cancellation_reason="expired", next_action=None)
    sandbox.events.emit("payment_intent.canceled", intent, cause=cause)


def expire_due(sandbox: Sandbox) -> list[str]:
    """Expire every open session whose ``expires_at`` has come; their ids."""
    now = sandbox.clock.now()
    expired = []
    while sandbox.expiries and sandbox.expiries[0][0] <= now:
        _, session_id = heapq.heappop(sandbox.expiries)
        session = sandbox.store.get("checkout.session", session_id)
        if session["status"] == "open":
            expire_session(sandbox, session)
            expired.append(session_id)
    return expired
