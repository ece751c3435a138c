"""The life of a refund (https://docs.stripe.com/refunds).

A refund is made ``succeeded`` or, where the card or the bank takes its time, ``pending``; it may still fail after it has
succeeded. It counts in the charge's ``amount_refunded`` from its creation on, so that pending refunds cannot add up to
more than was paid; failing or being canceled takes it out again.

Events: ``refund.created``, ``charge.refunded``; then, with each change, ``refund.updated`` and ``charge.refund.updated``,
and ``refund.failed`` last.
"""

from paywindow.sandbox.cards import RefundCourse
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.events import NO_REQUEST, Cause, previous_attributes
from paywindow.sandbox.fees import release_fee
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.metadata import merged_metadata
from paywindow.sandbox.refund_objects import (
    Status,
    build_debit,
    build_refund,
    build_return,
    card_destination,
    email_action,
    is_card,
    new_reference,
)
from paywindow.sandbox.refund_rules import check_create
from paywindow.sandbox.store import RefundPrivate
from paywindow.sandbox.transfers import check_reversal, give_back

FAILURE_REASONS = (
    "lost_or_stolen_card",
    "expired_or_canceled_card",
    "charge_for_pending_refund_disputed",
    "insufficient_funds",
    "declined",
    "merchant_request",
    "unknown",
)
_OPEN = ("pending", "requires_action")


def create_refund(sandbox: Sandbox, params: JsonObject, *, cause: Cause = NO_REQUEST) -> JsonObject:
    """Refund a charge, wholly or in part; raises StripeError when the rules forbid it."""
    store, now = sandbox.store, sandbox.clock.now()
    charge, amount = check_create(store, params)
    _check_can_take_back(sandbox, charge, amount, params)
    course = _course(sandbox, charge)
    status: Status = "pending" if course is RefundCourse.PENDS else "succeeded"
    refund = store.add(build_refund(charge, params, amount, status, now))
    refund["balance_transaction"] = store.add(build_debit(charge, refund, now))["id"]
    store.refunds[refund["id"]] = RefundPrivate(cause.idempotency_key, course)
    sandbox.unsettled_refunds.append(refund["id"])
    sandbox.events.emit("refund.created", refund, cause=cause)
    before = snapshot(charge)
    _book(charge, amount)
    refund["transfer_reversal"] = _take_back(sandbox, charge, refund, params)
    sandbox.events.emit("charge.refunded", charge, cause=cause, previous=previous_attributes(before, charge))
    return refund


def update_refund(sandbox: Sandbox, refund: JsonObject, params: JsonObject, cause: Cause) -> JsonObject:
    """Change metadata, all that can be changed."""
    if "metadata" in params:
        _change(sandbox, refund, cause=cause, metadata=merged_metadata(refund["metadata"], params["metadata"]))
    return refund


def succeed_refund(sandbox: Sandbox, refund: JsonObject) -> JsonObject:
    """The money has reached the buyer. Raises StripeError unless the refund is pending or waits for the buyer."""
    _require(refund, _OPEN, "succeed")
    return _change(sandbox, refund, status="succeeded", **_destination(refund))


def fail_refund(sandbox: Sandbox, refund: JsonObject, reason: str = "expired_or_canceled_card") -> JsonObject:
    """The buyer's bank sends the money back, perhaps after the refund had succeeded.

    Raises StripeError when it has failed or been canceled already, or the reason is not one of Stripe's.
    """
    if reason not in FAILURE_REASONS:
        raise invalid(f"Invalid reason: must be one of {', '.join(FAILURE_REASONS)}", "reason")
    _require(refund, (*_OPEN, "succeeded"), "fail")
    _give_back(sandbox, refund, "failed", reason, NO_REQUEST)
    sandbox.events.emit("refund.failed", refund)
    return refund


def cancel_refund(sandbox: Sandbox, refund: JsonObject, *, cause: Cause = NO_REQUEST) -> JsonObject:
    """Call a refund off before the money has left; raises StripeError when it is too late."""
    _require(refund, _OPEN, "be canceled")
    return _give_back(sandbox, refund, "canceled", "merchant_request", cause)


def require_action(sandbox: Sandbox, refund: JsonObject) -> JsonObject:
    """Have a pending refund wait for the buyer to say where the money should go; raises StripeError otherwise."""
    _require(refund, ("pending",), "require action")
    method = sandbox.store.get("payment_method", refund["payment_method"])
    email = method["billing_details"]["email"] or "buyer@example.com"
    return _change(sandbox, refund, status="requires_action", next_action=email_action(email, sandbox.clock.now()))


def settle_refunds(sandbox: Sandbox, *, older_than: float = 0.0) -> list[str]:
    """Let time do its work on refunds that are ``older_than`` seconds old; the ids of those that changed.

    A pending refund succeeds, the card that refuses late refuses, and otherwise the bank's reference comes in.
    """
    latest = sandbox.clock.now() - older_than
    changed = []
    while sandbox.unsettled_refunds:
        refund = sandbox.store.get("refund", sandbox.unsettled_refunds[0])
        if refund["created"] > latest:
            break
        sandbox.unsettled_refunds.popleft()
        if _settle(sandbox, refund):
            changed.append(refund["id"])
    return changed


def _settle(sandbox: Sandbox, refund: JsonObject) -> bool:
    if refund["status"] == "pending":
        succeed_refund(sandbox, refund)
    elif refund["status"] != "succeeded":
        return False
    elif sandbox.store.refunds[refund["id"]].course is RefundCourse.FAILS_LATER:
        fail_refund(sandbox, refund)
    elif not _has_reference(refund):
        _change(sandbox, refund, **_destination(refund))
    else:
        return False
    return True


def _course(sandbox: Sandbox, charge: JsonObject) -> RefundCourse:
    """Bank debits are given back as slowly as they were taken."""
    return sandbox.store.cards[charge["id"]].refund if is_card(charge) else RefundCourse.PENDS


def _check_can_take_back(sandbox: Sandbox, charge: JsonObject, amount: int, params: JsonObject) -> None:
    """Refuse what is more than the connected account still has of the charge; what was not passed on yet is, first."""
    if charge["transfer_data"] is None:
        return
    if charge["balance_transaction"] is None:
        release_fee(sandbox, charge)
    if params.get("reverse_transfer"):
        check_reversal(sandbox.store.get("transfer", charge["transfer"]), amount)


def _take_back(sandbox: Sandbox, charge: JsonObject, refund: JsonObject, params: JsonObject) -> str | None:
    """Have the connected account give back what ``params`` ask for; the id of the transfer reversal."""
    reversal = give_back(sandbox, charge, refund, params).reversal
    return str(reversal["id"]) if reversal is not None else None


def _book(charge: JsonObject, amount: int) -> None:
    """Count ``amount`` as refunded, or no longer if negative."""
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]


def _give_back(sandbox: Sandbox, refund: JsonObject, status: str, reason: str, cause: Cause) -> JsonObject:
    """Put the amount back into the balance and onto the charge."""
    store = sandbox.store
    _book(store.get("charge", refund["charge"]), -refund["amount"])
    transaction = store.add(build_return(refund, sandbox.clock.now()))
    return _change(
        sandbox,
        refund,
        cause=cause,
        status=status,
        failure_reason=reason,
        failure_balance_transaction=transaction["id"],
    )


def _has_reference(refund: JsonObject) -> bool:
    details = refund.get("destination_details")
    return details is None or "reference" in details["card"]


def _destination(refund: JsonObject) -> JsonObject:
    """``destination_details`` with the bank's reference, for a refund that has them."""
    if "destination_details" not in refund:
        return {}
    return {"destination_details": {"card": card_destination("succeeded", new_reference()), "type": "card"}}


def _change(sandbox: Sandbox, refund: JsonObject, *, cause: Cause = NO_REQUEST, **changes: object) -> JsonObject:
    """Change fields, drop those that no longer apply, and tell."""
    before = snapshot(refund)
    refund.update(changes)
    if refund["status"] != "pending":
        refund.pop("pending_reason", None)
    if refund["status"] != "requires_action":
        refund.pop("next_action", None)
    previous = previous_attributes(before, refund)
    for kind in ("refund.updated", "charge.refund.updated"):
        sandbox.events.emit(kind, refund, cause=cause, previous=previous)
    return refund


def _require(refund: JsonObject, statuses: tuple[str, ...], verb: str) -> None:
    if refund["status"] not in statuses:
        raise invalid(f"The refund {refund['id']} is {refund['status']}; it cannot {verb}.")
