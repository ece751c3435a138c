"""The audit of the books against Stripe's ledger: every charge, refund and dispute, to the minor unit."""

from collections import Counter
from typing import Any

from paywindow.models import database as db
from paywindow.models import shares
from paywindow.models.tables import ConnectedAccount, Dispute, PaymentSession, Receipt, Refund, Transaction

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
    _check_auctions(payments, sessions)
    shared = _compare_balances(ledger, payments, disputes, sessions)
    counted = {"charges": len(charges), "refunds": len(ledger["refunds"]), "disputes": len(disputes)}
    return Counter(counted | {"held": held, "shares": shared})


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


def _check_auctions(payments: list[Transaction], sessions: dict[Any, Any]) -> None:
    """An auction belongs to one payment, whatever else came in."""
    kept = Counter(
        sessions[row.session_id].auction_id
        for row in payments
        if row.settled_at is not None and sessions[row.session_id].released_at is None
    )
    assert all(count == 1 for count in kept.values()), "an auction is settled twice"


def _compare_balances(
    ledger: dict[str, Any], payments: list[Transaction], disputes: list[Dispute], sessions: dict[Any, Any]
) -> int:
    """What the books say that the platform and each seller have is what they have at Stripe, in every currency.

    Of each payment: amount = refunded + taken back by banks + platform's fee + seller's payout, and no payout is negative. The
    platform has its fee less Stripe's and what banks took back.
    """
    platform, sellers, shared = Counter(), {}, 0  # type: ignore[var-annotated]
    with db.transaction():
        by_hand = {row.transaction_id for row in Refund.select().where(Refund.made_by == "stripe")}
        accounts = {row.maker_id: row.stripe_account_id for row in ConnectedAccount.select()}
        for row in payments:
            session = sessions[row.session_id]
            parts = shares.parts(row, session)
            assert parts.refunded + parts.disputed + parts.platform_fee + parts.seller == row.amount_minor
            assert parts.seller >= 0, f"{row.stripe_charge_id}: the seller is to pay {-parts.seller}"
            if row.id not in by_hand:
                assert parts.platform_fee + parts.disputed >= 0, (
                    f"{row.stripe_charge_id}: a refund was left to the platform"
                )
            platform[row.currency] += row.amount_minor - parts.refunded - parts.sent
            platform[row.stripe_fee_currency] -= row.stripe_fee_minor
            if session.split is not None:
                shared += 1
                account = row.destination_account or accounts.get(session.maker_id)
                sellers.setdefault(account, Counter())[row.currency] += parts.sent
                if row.settled_at is not None and account is not None and not lacks_funds(row, session, ledger):
                    assert parts.sent == parts.seller, f"{row.stripe_charge_id}: {parts.seller} due, {parts.sent} sent"
    for dispute in disputes:
        if dispute.balance_currency:
            platform[dispute.balance_currency] += dispute.net_minor
    assert _without_zeros(platform) == _without_zeros(_upper(ledger["balance"])), "the platform's balance"
    for account in ledger["accounts"]:
        mine = _without_zeros(sellers.get(account["id"], {}))
        assert mine == _without_zeros(_upper(account["balance"])), f"the balance of {account['id']}"
    return shared


def lacks_funds(row: Transaction, session: PaymentSession, ledger: dict[str, Any]) -> bool:
    """Whether a share can't be sent: it came back once, and the platform has less than that at Stripe, after its fees."""
    return shares.owed(row, session) > ledger["balance"].get(row.currency.lower(), 0)


def _upper(balance: dict[str, int]) -> dict[str, int]:
    return {currency.upper(): amount for currency, amount in balance.items()}


def _without_zeros(balance: dict[str, int]) -> dict[str, int]:
    return {currency: amount for currency, amount in balance.items() if amount}
