"""The life of a dispute (https://docs.stripe.com/disputes/how-disputes-work).

A *chargeback* takes its amount and a fee from the balance at once; it is answered with evidence, reviewed, and won, which brings
the amount back and not the fee, or lost. An *inquiry* (``warning_*``) takes nothing: it is closed, or escalates to a chargeback.

Events: ``charge.dispute.created``, ``charge.dispute.funds_withdrawn``; ``charge.dispute.updated`` with each change; at the end
``charge.dispute.funds_reinstated`` if it was won, and ``charge.dispute.closed``.
"""

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.dispute_objects import EVIDENCE, build_dispute, build_reinstatement, build_withdrawal
from paywindow.sandbox.errors import invalid, unsupported
from paywindow.sandbox.events import NO_REQUEST, Cause, previous_attributes
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.metadata import merged_metadata
from paywindow.sandbox.store import Store

REASONS = ("fraudulent", "product_not_received", "product_unacceptable", "credit_not_processed", "duplicate", "general")
_ANSWERABLE = ("needs_response", "warning_needs_response")
_CHARGEBACK = ("needs_response", "under_review")
_INQUIRY = ("warning_needs_response", "warning_under_review")


def open_dispute(
    sandbox: Sandbox,
    charge: JsonObject,
    *,
    reason: str = "fraudulent",
    amount: int | None = None,
    inquiry: bool = False,
    withdraw: bool = True,
) -> JsonObject:
    """The buyer disputes a charge at the bank; ``withdraw`` false leaves the money for :func:`withdraw_funds`.

    Raises StripeError when there is nothing (left) to dispute.
    """
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if amount is None else amount
    if not charge["paid"] or not 0 < amount <= left:
        raise invalid(f"The charge {charge['id']} cannot be disputed for {amount}.", "amount")
    if reason not in REASONS:
        raise invalid(f"Invalid reason: must be one of {', '.join(REASONS)}", "reason")
    if any(dispute["status"] not in _FINAL for dispute in disputes_of(sandbox.store, charge["id"])):
        raise invalid(f"The charge {charge['id']} is disputed already.", "charge")
    now = sandbox.clock.now()
    due_by = now + sandbox.config.dispute_days * 24 * 3600
    dispute = sandbox.store.add(
        build_dispute(charge, amount=amount, reason=reason, inquiry=inquiry, created=now, due_by=due_by)
    )
    charge["disputed"] = True
    sandbox.events.emit("charge.dispute.created", dispute)
    if withdraw and not inquiry:
        withdraw_funds(sandbox, dispute)
    return dispute


def withdraw_funds(sandbox: Sandbox, dispute: JsonObject) -> JsonObject:
    """Stripe takes the disputed amount and its fee from the balance. Raises StripeError when it did, or it is an inquiry."""
    if dispute["status"] not in _CHARGEBACK or dispute["balance_transactions"]:
        raise invalid(f"The dispute {dispute['id']} is {dispute['status']}; there is nothing to withdraw.")
    entry = sandbox.store.add(build_withdrawal(dispute, sandbox.config.dispute_fee, sandbox.clock.now()))
    dispute["balance_transactions"].append(snapshot(entry))
    sandbox.events.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def update_dispute(sandbox: Sandbox, dispute: JsonObject, params: JsonObject, cause: Cause) -> JsonObject:
    """Evidence and metadata; ``submit`` (which is the default) hands the evidence in."""
    for name in params:
        if name not in ("evidence", "expand", "metadata", "submit"):
            raise unsupported(name)
    evidence = params.get("evidence", {})
    for name in evidence:
        if name not in EVIDENCE:
            raise unsupported(f"evidence[{name}]")
    before = snapshot(dispute)
    if "metadata" in params:
        dispute["metadata"] = merged_metadata(dispute["metadata"], params["metadata"])
    dispute["evidence"].update(evidence)
    dispute["evidence_details"]["has_evidence"] |= bool(evidence)
    if evidence and params.get("submit", True):
        _hand_in(dispute)
    sandbox.events.emit("charge.dispute.updated", dispute, cause=cause, previous=previous_attributes(before, dispute))
    return dispute


def review(sandbox: Sandbox, dispute: JsonObject) -> JsonObject:
    """Evidence was handed in, in the dashboard. Raises StripeError unless the dispute waits for it."""
    before = snapshot(dispute)
    _hand_in(dispute)
    sandbox.events.emit("charge.dispute.updated", dispute, previous=previous_attributes(before, dispute))
    return dispute


def escalate(sandbox: Sandbox, dispute: JsonObject) -> JsonObject:
    """An inquiry becomes a chargeback, and takes its money now. Raises StripeError for anything but an open inquiry."""
    _require(dispute, _INQUIRY, "escalate")
    before = snapshot(dispute)
    dispute.update(status="needs_response", is_charge_refundable=False)
    if "payment_method_details" in dispute:
        dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    sandbox.events.emit("charge.dispute.updated", dispute, previous=previous_attributes(before, dispute))
    return withdraw_funds(sandbox, dispute)


def win(sandbox: Sandbox, dispute: JsonObject) -> JsonObject:
    """The bank decides for the seller, perhaps after it had decided otherwise; the amount comes back."""
    _require(dispute, (*_CHARGEBACK, "lost"), "be won")
    if dispute["balance_transactions"]:
        entry = sandbox.store.add(build_reinstatement(dispute, sandbox.clock.now()))
        dispute["balance_transactions"].append(snapshot(entry))
    dispute.update(status="won", is_charge_refundable=True)
    if len(dispute["balance_transactions"]) > 1:
        sandbox.events.emit("charge.dispute.funds_reinstated", dispute)
    sandbox.events.emit("charge.dispute.closed", dispute)
    return dispute


def lose(sandbox: Sandbox, dispute: JsonObject, cause: Cause = NO_REQUEST) -> JsonObject:
    """The bank decides for the buyer, or the dispute is accepted: the money stays away."""
    _require(dispute, _CHARGEBACK, "be lost")
    dispute["status"] = "lost"
    sandbox.events.emit("charge.dispute.closed", dispute, cause=cause)
    return dispute


def close_inquiry(sandbox: Sandbox, dispute: JsonObject) -> JsonObject:
    """An inquiry ends without a chargeback."""
    _require(dispute, _INQUIRY, "be closed")
    dispute["status"] = "warning_closed"
    sandbox.events.emit("charge.dispute.closed", dispute)
    return dispute


def disputes_of(store: Store, charge_id: str) -> list[JsonObject]:
    """The disputes of a charge, newest first."""
    return [dispute for dispute in store.newest_first("dispute") if dispute["charge"] == charge_id]


_FINAL = ("won", "lost", "warning_closed")


def _hand_in(dispute: JsonObject) -> None:
    _require(dispute, _ANSWERABLE, "be answered")
    dispute["status"] = dispute["status"].replace("needs_response", "under_review")
    details = dispute["evidence_details"]
    details.update(has_evidence=True, submission_count=details["submission_count"] + 1, submission_method="manual")


def _require(dispute: JsonObject, statuses: tuple[str, ...], verb: str) -> None:
    if dispute["status"] not in statuses:
        raise invalid(f"The dispute {dispute['id']} is {dispute['status']}; it cannot {verb}.")
