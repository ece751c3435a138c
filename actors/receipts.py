"""Receipts: number, document, file.

``receipts.issue`` (outbox of the settlement) gives the next number and freezes what the receipt says; before that it reads the
charge from Stripe if the books do not have it yet, so that the card is on every receipt. ``receipts.render`` (outbox of the
issue) draws the PDF and stores it, once: a second run adopts the stored file. ``receipts.locate`` answers the front end.
"""

import uuid
from datetime import datetime

from paywindow import clock, jsons
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Charge, read_checkout
from paywindow.clock import isoformat
from paywindow.errors import Problem, Transient
from paywindow.models import analytics, moves, notifications, outbox, receipts
from paywindow.models.database import transaction
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Receipt, Transaction
from paywindow.money import Money
from paywindow.published import Outcome
from paywindow.receipts.data import Buyer, Issuer, Line, Method, ReceiptData, References
from paywindow.receipts.render import render_pdf

_ADDRESS_PARTS = ("line1", "line2", "city", "state", "postal_code", "country")


@actor("receipts.issue")
def issue(transaction_id: str, outbox_id: int | None = None) -> None:
    """Give a settled transaction its receipt."""
    identifier = uuid.UUID(transaction_id)
    with transaction():
        paid: Transaction = Transaction.get_by_id(identifier)
        attempt: CheckoutAttempt = CheckoutAttempt.get_by_id(paid.attempt_id)
        issued = receipts.of_transaction(identifier) is not None
        if issued:
            outbox.done(outbox_id)
    if issued:
        return
    charge = _charge_of(attempt) if paid.stripe_charge_id is None else None
    at = clock.now()
    with transaction():
        session = moves.lock_session(paid.session_id)
        paid = Transaction.select().where(Transaction.id == identifier).for_update().get()
        if session is None or paid.settled_at is None:
            raise Transient(f"transaction {transaction_id} is not settled")
        if charge is not None and paid.stripe_charge_id is None:
            paid.stripe_charge_id, paid.processed_at = charge.id, charge.created
            paid.card_brand, paid.card_last4 = charge.card_brand, charge.card_last4
            paid.save(only=["stripe_charge_id", "processed_at", "card_brand", "card_last4"])
        year = at.astimezone(runtime().settings.timezone).year
        series = f"{runtime().settings.receipt_prefix}-{year}"
        locked = session
        receipt = receipts.issue(paid, session, series, at, lambda number: _data(number, paid, locked, at))
        outbox.follow_up("receipts.render", at, receipt_id=str(receipt.id))
        moves.touch(session.id, at)
        outbox.done(outbox_id)


@actor("receipts.render")
def render(receipt_id: str, outbox_id: int | None = None) -> None:
    """Draw the PDF from the frozen data and store it."""
    identifier = uuid.UUID(receipt_id)
    with transaction():
        receipt: Receipt = Receipt.get_by_id(identifier)
    if receipt.stored_at is None:
        body = render_pdf(ReceiptData.from_json(receipt.render_data))
        found = runtime().receipts.put(_storage_key(receipt), body)
    at = clock.now()
    with transaction():
        if receipt.stored_at is None and receipts.stored(identifier, found, at):
            session: PaymentSession = PaymentSession.get_by_id(receipt.session_id)
            notifications.announce("receipt.issued", session, at, receiptNumber=receipt.receipt_number)
            analytics.track(analytics.RECEIPT_GENERATED, session, at, receipt_number=receipt.receipt_number)
            moves.touch(session.id, at)
        outbox.done(outbox_id)


@actor("receipts.locate")
def locate(reply_id: str, receipt_id: str, session_id: str | None) -> None:
    """Reply with a receipt's metadata and a short-lived link to its file; reads only."""
    with transaction():
        receipt = Receipt.get_or_none(Receipt.id == uuid.UUID(receipt_id))
    if receipt is None or session_id not in (None, str(receipt.session_id)):
        problem = Problem("not_found", "There is no such receipt.")
        outcome = Outcome(problem.status, problem.body(), "", "")
    else:
        outcome = Outcome(200, {"receipt": _public(receipt), "url": _link(receipt)}, "", "")
    runtime().publisher.reply(uuid.UUID(reply_id), outcome)


def _charge_of(attempt: CheckoutAttempt) -> Charge | None:
    return read_checkout(runtime().gateway.retrieve_checkout(attempt.page_id)).charge


def _storage_key(receipt: Receipt) -> str:
    return f"receipts/{receipt.series}/{receipt.receipt_number}.pdf"


def _link(receipt: Receipt) -> str | None:
    if receipt.storage_key is None:
        return None
    seconds = runtime().settings.receipt_url_seconds
    return runtime().receipts.signed_url(
        receipt.storage_key, filename=f"{receipt.receipt_number}.pdf", expires_in=seconds
    )


def _public(receipt: Receipt) -> dict[str, object]:
    return {
        "id": str(receipt.id),
        "number": receipt.receipt_number,
        "paymentSessionId": str(receipt.session_id),
        "issuedAt": isoformat(receipt.issued_at),
        "total": Money(receipt.total_minor, receipt.currency).decimal(),
        "currency": receipt.currency,
        "ready": receipt.stored_at is not None,
        "sha256": receipt.sha256,
        "size": receipt.size_bytes,
        "downloadUrl": f"{runtime().settings.public}/payments/receipts/{receipt.id}/download",
    }


def _data(number: str, paid: Transaction, session: PaymentSession, at: datetime) -> ReceiptData:
    settings = runtime().settings
    address = jsons.loads(paid.buyer_address) if paid.buyer_address else {}
    return ReceiptData(
        number=number,
        issued_at=at,
        paid_at=paid.processed_at or paid.settled_at,
        timezone=settings.receipt_timezone,
        locale=session.locale or "en",
        template_version=settings.receipt_template_version,
        issuer=Issuer(
            name=settings.receipt_issuer_name,
            address=settings.receipt_issuer_address,
            tax_id=settings.receipt_issuer_tax_id or "",
            email=settings.receipt_issuer_email or "",
        ),
        buyer=Buyer(
            name=paid.buyer_name or "",
            email=paid.buyer_email or "",
            address=tuple(address[part] for part in _ADDRESS_PARTS if address.get(part)),
        ),
        lines=(
            Line(
                description=session.description or "Auction win",
                unit_amount=paid.amount_minor,
                amount=paid.amount_minor,
            ),
        ),
        total=paid.amount_minor,
        currency=paid.currency,
        method=Method(brand=paid.card_brand or "", last4=paid.card_last4 or ""),
        references=References(
            auction_id=str(session.auction_id),
            payment_session_id=str(session.id),
            payment_intent_id=paid.stripe_payment_intent_id,
        ),
    )
