"""Successful charges of Stripe's against the payments in the books."""

import uuid
from collections.abc import Callable
from typing import Any

from paywindow.actors import figures
from paywindow.actors.comparing import Evidence, Ours, Suspicion, money, stands, tell
from paywindow.actors.handlers import charge_succeeded, checkout_completed
from paywindow.actors.runtime import runtime
from paywindow.checkout import named_in
from paywindow.figures import read_figures
from paywindow.models import attempts, shares
from paywindow.models.reconciliations import named_session
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Refund, Transaction

KIND = "charge"


def key(charge: dict[str, Any]) -> str:
    """What says that a payment was seen at Stripe: the PaymentIntent, which the books know before the charge."""
    return str(charge.get("payment_intent") or charge["id"])


def again(charge: dict[str, Any]) -> Evidence | None:
    """The charge as it is now, with the page on which it was made."""
    found = runtime().gateway.find(KIND, charge["id"])
    if found is None:
        return None
    intent = found.get("payment_intent")
    page = runtime().gateway.checkout_of_payment(intent) if isinstance(intent, str) else None
    return Evidence(found, page)


def one(row: Ours) -> Evidence | None:
    """The successful charge behind a payment of the books."""
    intent = runtime().gateway.find("payment_intent", row.stripe_id)
    charge = intent.get("latest_charge") if intent is not None else None
    if not isinstance(charge, dict) or charge["status"] != "succeeded":
        return None
    return Evidence(charge, runtime().gateway.checkout_of_payment(row.stripe_id))


def missing(row: Ours) -> Suspicion:
    """The books have a payment, Stripe has not."""
    return Suspicion("charge_missing_at_stripe", row.stripe_id, row.session_id, row.reads, "no successful charge")


def judge(evidence: list[Evidence]) -> list[tuple[Evidence, Suspicion]]:
    """Compare successful charges with the books, in the current transaction."""
    charges = [each for each in evidence if each.found["status"] == "succeeded" and each.found.get("payment_intent")]
    intents = [each.found["payment_intent"] for each in charges]
    rows = (
        Transaction.select(Transaction, PaymentSession)
        .join(PaymentSession)
        .where(Transaction.stripe_payment_intent_id.in_(intents), Transaction.status != "failed")
    )
    booked = {row.stripe_payment_intent_id: row for row in rows} if intents else {}
    found = []
    for each in charges:
        row = booked.get(each.found["payment_intent"])
        suspicions = _unbooked(each) if row is None else _differences(each.found, row)
        found += [(each, suspicion) for suspicion in suspicions]
    return found


def _unbooked(evidence: Evidence) -> list[Suspicion]:
    charge = evidence.found
    taken = f"{money(charge['amount'], charge['currency'])} taken by {charge['id']}"
    attempt = attempts.of_payment_intent(charge["payment_intent"]) or _named(charge)
    if evidence.page is not None and attempt is not None:
        # Metadata only says where to look; Stripe's own page says whose payment it is.
        attempt = attempts.of_checkout(evidence.page["id"])
    if attempt is None:
        session_id = named_session(charge)
        if session_id is None or PaymentSession.get_or_none(PaymentSession.id == session_id) is not None:
            return []
        return [Suspicion("session_not_booked", charge["payment_intent"], session_id, "no such payment session", taken)]
    page = evidence.page
    mend = None if page is None else (lambda who: tell(checkout_completed, page, who, page))
    ours = f"session {stands(attempt.session)}, no such payment"
    return [Suspicion("payment_not_booked", charge["payment_intent"], attempt.session_id, ours, taken, mend)]


def _named(charge: dict[str, Any]) -> CheckoutAttempt | None:
    session_id, number = named_session(charge), named_in(charge)[1]
    return attempts.numbered(session_id, number) if session_id is not None and number is not None else None


def _differences(charge: dict[str, Any], row: Transaction) -> list[Suspicion]:
    session, subject = row.session, row.stripe_payment_intent_id
    found = []

    def differ(code: str, ours: str, theirs: str, mend: Callable[[str], None] | None = None) -> None:
        found.append(Suspicion(code, subject, session.id, ours, theirs, mend))

    ours, theirs = money(row.amount_minor, row.currency), money(charge["amount"], charge["currency"])
    if row.currency != charge["currency"].upper():
        differ("currency_differs", ours, theirs)
    elif row.amount_minor != charge["amount"]:
        differ("amount_differs", ours, theirs)
    if row.stripe_charge_id is None:
        added = f"{theirs} by {charge['id']}"
        differ("charge_details_missing", f"{ours}, no charge", added, lambda who: tell(charge_succeeded, charge, who))
    if row.settled_at is None and charge["amount_refunded"] < charge["amount"]:
        if _another_is_settled(row, session):
            differ("charged_twice", f"{ours} beside a settled payment; session {stands(session)}", f"{theirs} kept")
        elif session.hold_reason is None and _not_given_back(row):
            differ("payment_unaccounted", f"{ours}, not settled; session {stands(session)}", f"{theirs} kept")
    _compare_figures(charge, row, differ)
    return found


def _another_is_settled(row: Transaction, session: PaymentSession) -> bool:
    return bool(
        Transaction.select()
        .join(PaymentSession)
        .where(
            PaymentSession.auction_id == session.auction_id,
            Transaction.id != row.id,
            Transaction.settled_at.is_null(False),
            Transaction.status != "refunded",
        )
        .exists()
    )


def _not_given_back(row: Transaction) -> bool:
    """Whether no refund is under way: one that waits for its turn accounts for the money, too."""
    under_way = Refund.select().where(Refund.transaction == row.id, Refund.status.not_in(["failed", "canceled"]))
    return sum(refund.amount_minor for refund in under_way) < row.amount_minor


def _compare_figures(charge: dict[str, Any], row: Transaction, differ: Any) -> None:
    """Stripe's fee and what it passed on to the seller; nothing is compared before Stripe tells it."""
    told = read_figures(charge)
    if told.stripe_fee is None or told.stripe_fee_currency is None:
        return

    def read(who: str) -> None:
        del who  # figures are in no audit trail
        figures.read(str(row.id))

    theirs = money(told.stripe_fee, told.stripe_fee_currency)
    if row.stripe_fee_minor is None or row.stripe_fee_currency is None:
        differ("fee_not_booked", "no fee", theirs, read)
        return
    if (row.stripe_fee_minor, row.stripe_fee_currency) != (told.stripe_fee, told.stripe_fee_currency):
        differ("fee_differs", money(row.stripe_fee_minor, row.stripe_fee_currency), theirs, read)
    if row.destination_account is None or told.transfer_id is None:
        return
    ours = (row.transferred_minor, row.transfer_reversed_minor, row.platform_fee_minor, row.platform_fee_returned_minor)
    sent, back = shares.moved_by_us(
        row
    )  # when a dispute was won, for instance: the charge tells of Stripe's own transfer alone
    kept = (told.application_fee or 0, told.application_fee_returned)
    moved = (told.transferred + sent, told.transfer_reversed + back, *kept)
    if ours != moved:
        differ("share_differs", _share(ours, row.currency), _share(moved, row.currency), read)
    elif row.settled_at is not None:
        has, due = shares.parts(row, row.session).seller, shares.due(row)
        if has < due:
            differ("seller_short", f"{money(due, row.currency)} due", f"{money(has, row.currency)} with the seller")


def _share(figures: tuple[int, int, int | None, int], currency: str) -> str:
    sent, reversed_, fee, returned = (money(each or 0, currency) for each in figures)
    return f"{sent} passed on, {reversed_} taken back; fee {fee}, {returned} given back"


def reads(row: Transaction) -> str:
    """A payment as the books have it."""
    settled = "settled" if row.settled_at else "not settled"
    return f"{money(row.amount_minor, row.currency)}, {row.status}, {settled}"


def ours(row: Transaction) -> Ours:
    """A payment of the books that no list has shown."""
    session_id: uuid.UUID = row.session_id
    return Ours(row.stripe_payment_intent_id, session_id, reads(row), str(row.id))
