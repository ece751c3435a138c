"""A session's public face, built from its rows (see :class:`paywindow.published.Snapshot` for the shapes)."""

from datetime import datetime
from typing import Any

from paywindow import jsons
from paywindow.clock import isoformat
from paywindow.models import disputes, refunds, retries, shares
from paywindow.models.tables import CheckoutAttempt, Dispute, PaymentSession, Receipt, Refund, Transaction
from paywindow.money import Money
from paywindow.published import Snapshot
from paywindow.settings import Settings
from paywindow.states import PAYABLE, Status

_NO_DOCUMENTS: dict[str, list[Receipt]] = {"receipt": [], "credit_note": [], "statement": []}


def snapshot(session: PaymentSession, settings: Settings) -> Snapshot:
    """The snapshot of a session at the version of its row; reads attempts, transactions and receipt."""
    attempts = CheckoutAttempt.read_all("WHERE session_id = %s ORDER BY number", session.id)
    payments = Transaction.read_all("WHERE session_id = %s ORDER BY settled_at IS NULL, created_at", session.id)
    history = _history(attempts, [row for row in payments if row.status == "failed"])
    # The settled one; else, for a held payment, the money that waits for a decision.
    transaction = next((row for row in payments if row.status != "failed"), None)
    # Only what was paid can be given back, and is written about.
    given_back = refunds.of_session(session) if payments else []
    disputed = disputes.of(transaction) if transaction is not None else []
    documents = _documents(session) if payments else _NO_DOCUMENTS
    url = _open_url(session, next((row for row in attempts if row.number == session.attempt_number), None))
    closes = int(session.expires_at.timestamp() * 1000) if has_deadline(session) else 0

    def face(*, fees: bool, closing: bool) -> str:
        body: dict[str, Any] = {
            "paymentSession": public_session(session, None if closing else url, closing=closing),
            "retry": _retry(session, settings, closing=closing),
            "attempts": history,
            "transaction": _transaction(transaction, session, given_back, disputed, fees=fees),
            "refunds": [public_refund(row) for row in given_back],
            "receipt": next((_receipt(row, settings.public) for row in documents["receipt"]), None),
            "creditNotes": [_receipt(row, settings.public) for row in documents["credit_note"]],
        }
        if fees:
            body["statement"] = next((_receipt(row, settings.public) for row in documents["statement"]), None)
        return jsons.dumps(body)

    return Snapshot(
        version=session.version,
        service=face(fees=True, closing=False),
        buyer=face(fees=False, closing=False),
        service_closing=face(fees=True, closing=True) if closes else "",
        buyer_closing=face(fees=False, closing=True) if closes else "",
        expires_ms=int(session.expires_at.timestamp() * 1000),
        closes_ms=closes,
    )


def page_url(session: PaymentSession) -> str | None:
    """The Checkout page on which the session can be paid now, if there is one."""
    return _open_url(session, current_attempt(session))


def _open_url(session: PaymentSession, attempt: CheckoutAttempt | None) -> str | None:
    if session.status not in PAYABLE or session.hold_reason:
        return None
    return attempt.url if attempt is not None and attempt.status == "open" else None


def current_attempt(session: PaymentSession) -> CheckoutAttempt | None:
    """The attempt that the session counts on."""
    return CheckoutAttempt.read_one("WHERE session_id = %s AND number = %s", session.id, session.attempt_number)


def public_session(session: PaymentSession, url: str | None, *, closing: bool = False) -> dict[str, Any]:
    """The ``paymentSession`` object of the API."""
    return {
        "id": str(session.id),
        "auctionId": str(session.auction_id),
        "buyerId": str(session.buyer_id),
        "makerId": str(session.maker_id) if session.maker_id else None,
        "status": session.status,
        "amount": Money(session.amount_minor, session.currency).decimal(),
        "currency": session.currency,
        "description": session.description,
        "locale": session.locale,
        "stripeCheckoutUrl": url,
        "stripePaymentIntentId": session.stripe_payment_intent_id,
        "createdAt": isoformat(session.created_at),
        "expiresAt": isoformat(session.expires_at),
        "completedAt": _when(session.completed_at),
        "canceledAt": _when(session.canceled_at),
        "closing": closing,
        "failure": _failure(session),
        "hold": {"reason": session.hold_reason, "since": _when(session.hold_since)} if session.hold_reason else None,
        "released": session.released_at is not None,
        "version": session.version,
    }


def public_refund(row: Refund) -> dict[str, Any]:
    """The ``refund`` object of the API. While Stripe's answer is awaited a refund is pending, for all that anybody can see."""
    return {
        "id": str(row.id),
        "transactionId": str(row.transaction_id),
        "amount": Money(row.amount_minor, row.currency).decimal(),
        "currency": row.currency,
        "status": "pending" if row.status == "claimed" else row.status,
        "reason": row.reason,
        "failureReason": row.failure_reason,
        "createdAt": isoformat(row.created_at),
    }


def _retry(session: PaymentSession, settings: Settings, *, closing: bool) -> dict[str, Any]:
    tries_left = retries.left(session, settings)
    return {
        "count": session.retry_count,
        "left": tries_left,
        "canRetry": session.status == Status.FAILED and has_deadline(session) and tries_left > 0 and not closing,
        "retryAt": _when(session.retry_at),
    }


def _history(attempts: list[CheckoutAttempt], failed: list[Transaction]) -> list[dict[str, Any]]:
    """Every attempt with its times and its declines: what the buyer tried, and what came of it."""
    declines: dict[Any, list[dict[str, Any]]] = {}
    for row in failed:
        code = row.decline_code or row.failure_code
        declined = {"at": isoformat(row.created_at), "code": code, "message": row.failure_reason}
        declines.setdefault(row.attempt_id, []).append(declined)
    return [
        {
            "number": attempt.number,
            "kind": attempt.kind,
            "status": attempt.status,
            "createdAt": isoformat(attempt.created_at),
            "closedAt": _when(attempt.closed_at),
            "declines": declines.get(attempt.id, []),
        }
        for attempt in attempts
    ]


def has_deadline(session: PaymentSession) -> bool:
    """Whether the session's window is open, so that its end is worth showing."""
    return session.status in PAYABLE and session.released_at is None and session.hold_reason is None


def _transaction(
    row: Transaction | None, session: PaymentSession, given_back: list[Refund], disputed: list[Dispute], *, fees: bool
) -> dict[str, Any] | None:
    if row is None:
        return None
    shown: dict[str, Any] = {
        "id": str(row.id),
        "status": row.status,
        "amount": Money(row.amount_minor, row.currency).decimal(),
        "currency": row.currency,
        "settled": row.settled_at is not None,
        "card": {"brand": row.card_brand, "last4": row.card_last4} if row.card_last4 else None,
    }
    if fees:
        shown["fees"] = _fees(row, session, shares.gone(row, given_back, disputed))
        shown["dispute"] = disputes.public(disputed[0]) if disputed else None
    return shown


def _fees(row: Transaction, session: PaymentSession, gone: shares.Gone) -> dict[str, Any]:
    """Who has what of the payment: amount = refunded + disputed + platformFee + sellerPayout, in its own currency."""
    split = shares.parts(row, session, gone)
    seller, platform, net = None, row.platform_fee_minor, None
    if session.maker_id is not None:
        seller, platform = split.seller, split.platform_fee
        if row.stripe_fee_minor is not None and row.stripe_fee_currency == row.currency:
            net = platform - row.stripe_fee_minor
    return {
        "stripeFee": _amount(row.stripe_fee_minor, row.stripe_fee_currency),
        "stripeFeeCurrency": row.stripe_fee_currency,
        "exchangeRate": row.exchange_rate,
        "platformFee": _amount(platform, row.currency),
        "platformNet": _amount(net, row.currency),
        "sellerPayout": _amount(seller, row.currency),
        "sellerReceived": _amount(split.sent if session.split is not None else None, row.currency),
        "payoutRefused": _refused(row) if session.split is not None else None,
        "refunded": _amount(split.refunded, row.currency),
        "disputed": _amount(split.disputed, row.currency),
    }


def _refused(row: Transaction) -> str | None:
    """Why what the seller is due, or has too much, is not moved, while there is such."""
    refused = shares.refused(row) if row.share_due_at is not None else None
    return None if refused is None else str(refused.last_error)


def _documents(session: PaymentSession) -> dict[str, list[Receipt]]:
    """The session's receipt, credit notes and statement, by kind."""
    found: dict[str, list[Receipt]] = {kind: [] for kind in _NO_DOCUMENTS}
    for row in Receipt.read_all("WHERE session_id = %s ORDER BY issued_at", session.id):
        found[row.kind].append(row)
    return found


def _receipt(row: Receipt, public_url: str) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "number": row.receipt_number,
        "ready": row.stored_at is not None,
        "downloadUrl": f"{public_url}/payments/receipts/{row.id}/download",
    }


def _failure(session: PaymentSession) -> dict[str, Any] | None:
    if session.status != "failed":
        return None
    return {"code": session.failure_code, "message": session.failure_message}


def _amount(minor: int | None, currency: str | None) -> Any:
    return None if minor is None or currency is None else Money(minor, currency).decimal()


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
