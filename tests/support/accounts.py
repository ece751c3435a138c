"""The audit of the books against Stripe's ledger: every charge, refund and dispute, to the minor unit."""

from collections import Counter
from typing import Any

from paywindow.models import database as db
from paywindow.models.tables import Dispute, PaymentSession, Receipt, Refund, Transaction

#: Money that has left, or is leaving, as Stripe counts it in ``amount_refunded``.
GIVEN_BACK = ("pending", "requires_action", "succeeded")


def compare(shop: Any, ledger: dict[str, Any]) -> Counter[str]:
    """Assert that both sides are equal, in total and in each part; returns how much was compared."""
    with db.transaction():
        sessions = {row.id: row for row in PaymentSession.select()}
        payments = list(Transaction.select().where(Transaction.status != "failed"))
        refunds = list(Refund.select())
        disputes = list(Dispute.select())
        receipts = list(Receipt.select())
    charges = {charge["id"]: charge for charge in ledger["charges"] if charge["status"] == "succeeded"}
    _compare_charges(charges, payments)
    _compare_refunds(ledger["refunds"], refunds)
    _compare_disputes(ledger["disputes"], disputes)
    held = _compare_totals(charges, payments, refunds, sessions)
    _compare_receipts(payments, refunds, receipts)
    _check_auctions(payments, refunds, sessions)
    return Counter(charges=len(charges), refunds=len(ledger["refunds"]), disputes=len(disputes), held=held)


def _compare_charges(charges: dict[str, dict[str, Any]], payments: list[Transaction]) -> None:
    books = sorted((str(row.stripe_charge_id), row.amount_minor, row.currency) for row in payments)
    assert books == sorted((key, each["amount"], each["currency"].upper()) for key, each in charges.items())


def _compare_refunds(theirs: list[dict[str, Any]], refunds: list[Refund]) -> None:
    books = sorted(
        (row.stripe_refund_id, row.amount_minor, row.currency, row.status) for row in refunds if row.stripe_refund_id
    )
    assert books == sorted((each["id"], each["amount"], each["currency"].upper(), each["status"]) for each in theirs)
    made_here = Counter(each["metadata"]["refund_id"] for each in theirs if "refund_id" in each["metadata"])
    assert max(made_here.values(), default=1) == 1, "one refund was made twice"
    unsent = [row.status for row in refunds if row.stripe_refund_id is None]
    assert set(unsent) <= {"held", "failed", "canceled"}, unsent


def _compare_disputes(theirs: list[dict[str, Any]], disputes: list[Dispute]) -> None:
    books = sorted(
        (row.stripe_dispute_id, row.amount_minor, row.currency, row.status, row.fee_minor, row.net_minor)
        for row in disputes
    )
    assert books == sorted(
        (each["id"], each["amount"], each["currency"].upper(), each["status"], each["fee"], each["net"])
        for each in theirs
    )


def _compare_totals(
    charges: dict[str, dict[str, Any]], payments: list[Transaction], refunds: list[Refund], sessions: dict[Any, Any]
) -> int:
    """Paid is settled and kept, refunded, or held: per payment, and in total per currency."""
    paid, kept, back, held = Counter(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for row in payments:
        mine = [refund for refund in refunds if refund.transaction_id == row.id]
        refunded = sum(refund.amount_minor for refund in mine if refund.status in GIVEN_BACK)
        went = sum(refund.amount_minor for refund in mine if refund.status == "succeeded")
        left = row.amount_minor - refunded
        assert left >= 0, f"{row.stripe_charge_id}: more was given back than was paid"
        assert refunded == charges[row.stripe_charge_id]["amount_refunded"], f"{row.stripe_charge_id}: refunded"
        status = "refunded" if went == row.amount_minor else "partially_refunded" if went else "succeeded"
        assert row.status == status, f"{row.stripe_charge_id} is {row.status}, not {status}"
        paid[row.currency] += row.amount_minor
        back[row.currency] += refunded
        if row.settled_at is not None:
            kept[row.currency] += left
        elif left:
            hold = sessions[row.session_id].hold_reason
            assert hold is not None, f"{row.stripe_charge_id}: {left} neither settled, nor given back, nor held"
            held[row.currency] += left
    at_stripe = Counter()  # type: ignore[var-annotated]
    for charge in charges.values():
        at_stripe[charge["currency"].upper()] += charge["amount"]
    assert +paid == +at_stripe == +(kept + back + held)
    return sum(1 for row in sessions.values() if row.hold_reason is not None)


def _compare_receipts(payments: list[Transaction], refunds: list[Refund], receipts: list[Receipt]) -> None:
    settled = {row.id for row in payments if row.settled_at is not None}
    assert sorted(row.transaction_id for row in receipts if row.kind == "receipt") == sorted(settled)
    notes = {row.refund_id: row.total_minor for row in receipts if row.kind == "credit_note"}
    due = {row.id: row.amount_minor for row in refunds if row.status == "succeeded" and row.transaction_id in settled}
    assert due.items() <= notes.items(), "a refund has no credit note"


def _check_auctions(payments: list[Transaction], refunds: list[Refund], sessions: dict[Any, Any]) -> None:
    """Nobody pays for an auction that somebody else has paid for, unless an operator is to decide."""
    kept = Counter(
        sessions[row.session_id].auction_id
        for row in payments
        if row.settled_at is not None and sessions[row.session_id].released_at is None
    )
    assert all(count == 1 for count in kept.values()), "an auction is settled twice"
    del refunds
