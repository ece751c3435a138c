"""Receipts, credit notes and sellers' statements: number, document, file.

``receipts.issue`` (outbox of the settlement) gives the next number and freezes what the receipt says; before that it reads the
charge from Stripe if the books do not have it yet, so that the card is on every receipt. ``receipts.issue_statement`` (outbox
of the issue) does the same for the seller, ``receipts.issue_credit_note`` (outbox of a refund) for what went back.
``receipts.render`` (outbox of each) draws the PDF and stores it, once: a second run adopts the stored file.
``receipts.locate`` answers the front end.
"""

import uuid
from datetime import datetime

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Charge, read_checkout
from paywindow.clock import isoformat
from paywindow.errors import Problem, Transient
from paywindow.models import analytics, moves, notifications, outbox, receipt_contents, receipts
from paywindow.models.database import transaction
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Receipt, Refund, Transaction
from paywindow.money import Money
from paywindow.published import Outcome
from paywindow.receipts.data import ReceiptData
from paywindow.receipts.render import RenderTimeout, render_pdf
from paywindow.receipts.storage import StorageUnavailable, StoredObject, storage_key
from paywindow.receipts.texts import locale_for


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
    at, settings = clock.now(), runtime().settings
    with transaction():
        session = _locked(paid)
        paid = Transaction.select().where(Transaction.id == identifier).for_update().get()
        if paid.settled_at is None:
            raise Transient(f"transaction {transaction_id} is not settled")
        if charge is not None and paid.stripe_charge_id is None:
            paid.stripe_charge_id, paid.processed_at = charge.id, charge.created
            paid.card_brand, paid.card_last4 = charge.card_brand, charge.card_last4
            paid.save(only=["stripe_charge_id", "processed_at", "card_brand", "card_last4"])
        receipt = receipts.issue(
            paid,
            session,
            receipts.series_for("receipt", session, settings, at),
            at,
            lambda number: receipt_contents.receipt(number, paid, session, settings, at),
        )
        # The statement of a split sale waits for Stripe's fee: see figures.read.
        if session.maker_id is not None and (session.split is None or paid.stripe_fee_minor is not None):
            outbox.follow_up("receipts.issue_statement", at, transaction_id=transaction_id)
        _issued(receipt, at, outbox_id)


@actor("receipts.issue_statement")
def issue_statement(transaction_id: str, outbox_id: int | None = None) -> None:
    """Give a transaction that has its receipt the seller's statement."""
    identifier = uuid.UUID(transaction_id)
    at, settings = clock.now(), runtime().settings
    with transaction():
        paid: Transaction = Transaction.get_by_id(identifier)
        session = _locked(paid)
        original = _receipt_of(paid)
        if receipts.of_transaction(identifier, "statement") is not None:
            outbox.done(outbox_id)
            return
        statement = receipts.issue(
            paid,
            session,
            receipts.series_for("statement", session, settings, at),
            at,
            lambda number: receipt_contents.statement(number, original, paid, session, settings, at),
            kind="statement",
        )
        _issued(statement, at, outbox_id)


@actor("receipts.issue_credit_note")
def issue_credit_note(refund_id: str, outbox_id: int | None = None) -> None:
    """Give a refund that succeeded its credit note, unless it has failed meanwhile: then nothing went back."""
    at, settings = clock.now(), runtime().settings
    identifier = uuid.UUID(refund_id)
    with transaction():
        paid = Refund.get_by_id(identifier).transaction
        session = _locked(paid)
        refund: Refund = Refund.get_by_id(identifier)  # as it is now that nobody else can change it
        if refund.status != "succeeded" or receipts.of_refund(refund) is not None:
            outbox.done(outbox_id)
            return
        original = _receipt_of(paid)
        note = receipts.issue(
            paid,
            session,
            receipts.series_for("credit_note", session, settings, at),
            at,
            lambda number: receipt_contents.credit_note(number, refund, original, paid, session, settings, at),
            kind="credit_note",
            refund=refund,
        )
        _issued(note, at, outbox_id)


@actor("receipts.render")
def render(receipt_id: str, outbox_id: int | None = None) -> None:
    """Draw the PDF from the frozen data and store it."""
    identifier = uuid.UUID(receipt_id)
    with transaction():
        receipt: Receipt = Receipt.get_by_id(identifier)
    if receipt.stored_at is None:
        body = _draw(receipt)
        found = _store(receipt, body)
    at = clock.now()
    with transaction():
        if receipt.stored_at is None and receipts.stored(identifier, found, at):
            if receipt.kind == "receipt":
                session: PaymentSession = PaymentSession.get_by_id(receipt.session_id)
                notifications.announce("receipt.issued", session, at, receiptNumber=receipt.receipt_number)
                data = ReceiptData.from_json(receipt.render_data)
                analytics.track(
                    analytics.RECEIPT_GENERATED,
                    session,
                    at,
                    receipt_number=receipt.receipt_number,
                    receipt_language=locale_for(data.template_version, data.locale).language,
                )
            moves.touch(receipt.session_id, at)
        outbox.done(outbox_id)


@actor("receipts.locate")
def locate(reply_id: str, receipt_id: str, session_id: str | None, download_by: str | None = None) -> None:
    """Reply with a document's metadata; for a download also with a short-lived link to its file, and record who got it."""
    url = None
    with transaction():
        receipt = Receipt.get_or_none(Receipt.id == uuid.UUID(receipt_id))
        if receipt is not None and not _may_see(receipt, session_id):
            receipt = None
        if receipt is not None and download_by is not None and receipt.storage_key is not None:
            url = _link(receipt.storage_key, receipt.receipt_number)
            receipts.downloaded(uuid.UUID(reply_id), receipt, download_by, clock.now())
    if receipt is None:
        problem = Problem("not_found", "There is no such receipt.")
        outcome = Outcome(problem.status, problem.body(), "", "")
    else:
        outcome = Outcome(200, {"receipt": _public(receipt), "url": url}, "", "")
    runtime().publisher.reply(uuid.UUID(reply_id), outcome)


def _charge_of(attempt: CheckoutAttempt) -> Charge | None:
    return read_checkout(runtime().gateway.retrieve_checkout(attempt.page_id)).charge


def _locked(paid: Transaction) -> PaymentSession:
    session = moves.lock_session(paid.session_id)
    if session is None:
        raise Transient(f"transaction {paid.id} has no session")
    return session


def _receipt_of(paid: Transaction) -> Receipt:
    found = receipts.of_transaction(paid.id)
    if found is None:
        raise Transient(f"transaction {paid.id} has no receipt yet to refer to")
    return found


def _issued(receipt: Receipt, at: datetime, outbox_id: int | None) -> None:
    outbox.follow_up("receipts.render", at, receipt_id=str(receipt.id))
    moves.touch(receipt.session_id, at)
    outbox.done(outbox_id)


def _draw(receipt: Receipt) -> bytes:
    with metrics.RENDER_SECONDS.labels(receipt.kind).time():
        try:
            return render_pdf(
                ReceiptData.from_json(receipt.render_data),
                documents_per_process=runtime().settings.receipt_documents_per_renderer,
            )
        except Exception as error:
            reason = "timeout" if isinstance(error, RenderTimeout) else "failed"
            metrics.RENDER_FAILURES.labels(reason).inc()
            raise


def _store(receipt: Receipt, body: bytes) -> StoredObject:
    try:
        return runtime().receipts.put(storage_key(receipt.series, receipt.receipt_number), body)
    except Exception as error:
        metrics.STORE_FAILURES.labels("unavailable" if isinstance(error, StorageUnavailable) else "refused").inc()
        raise


def _may_see(receipt: Receipt, session_id: str | None) -> bool:
    """Whether the asker may: a service key (no session) sees everything, a buyer nothing but the own session's documents."""
    return session_id is None or (receipt.kind != "statement" and session_id == str(receipt.session_id))


def _link(key: str, number: str) -> str:
    seconds = runtime().settings.receipt_url_seconds
    return runtime().receipts.signed_url(key, filename=f"{number}.pdf", expires_in=seconds)


def _public(receipt: Receipt) -> dict[str, object]:
    return {
        "id": str(receipt.id),
        "kind": receipt.kind,
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
