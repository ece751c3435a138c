"""What a document says, put together from the rows and settings of the moment it is issued."""

from datetime import datetime
from typing import Any

from paywindow import jsons
from paywindow.models.tables import PaymentSession, Receipt, Refund, Transaction
from paywindow.receipts.data import Buyer, Issuer, Kind, Line, Method, ReceiptData, References, Statement
from paywindow.settings import Settings

_ADDRESS_PARTS = ("line1", "line2", "city", "state", "postal_code", "country")


def receipt(number: str, paid: Transaction, session: PaymentSession, settings: Settings, at: datetime) -> ReceiptData:
    """The buyer's receipt: nothing of fees and payout is on it."""
    return _document("receipt", number, paid, session, settings, at, buyer=_buyer(paid), method=_method(paid))


def credit_note(
    number: str,
    refund: Refund,
    original: Receipt,
    paid: Transaction,
    session: PaymentSession,
    settings: Settings,
    at: datetime,
) -> ReceiptData:
    """What the buyer gets back, of the receipt ``original``: all of it or a part."""
    return _document(
        "credit_note",
        number,
        paid,
        session,
        settings,
        at,
        paid_at=refund.updated_at,
        amount_minor=refund.amount_minor,
        refers_to=original.receipt_number,
        buyer=_buyer(paid),
        method=_method(paid),
    )


def statement(
    number: str, original: Receipt, paid: Transaction, session: PaymentSession, settings: Settings, at: datetime
) -> ReceiptData:
    """What the seller gets of the sale. Stripe's fee is on it when it is known by now; the payout does not depend on it."""
    fee = paid.platform_fee_minor or 0
    return _document(
        "statement",
        number,
        paid,
        session,
        settings,
        at,
        locale=settings.receipt_statement_locale,
        refers_to=original.receipt_number,
        statement=Statement(
            maker_id=str(session.maker_id),
            platform_fee=fee,
            payout=paid.amount_minor - fee,
            stripe_fee=paid.stripe_fee_minor,
            stripe_fee_currency=paid.stripe_fee_currency,
        ),
    )


def _document(
    kind: Kind,
    number: str,
    paid: Transaction,
    session: PaymentSession,
    settings: Settings,
    at: datetime,
    *,
    amount_minor: int | None = None,
    **more: Any,
) -> ReceiptData:
    amount = paid.amount_minor if amount_minor is None else amount_minor
    common: dict[str, Any] = {
        "kind": kind,
        "number": number,
        "issued_at": at,
        "paid_at": paid.processed_at or paid.settled_at,
        "timezone": settings.receipt_timezone,
        "locale": session.locale or "en",
        "template_version": settings.receipt_template_version,
        "issuer": Issuer(
            name=settings.receipt_issuer_name,
            address=settings.receipt_issuer_address,
            tax_id=settings.receipt_issuer_tax_id or "",
            email=settings.receipt_issuer_email or "",
        ),
        "lines": (Line(description=session.description or "Auction win", unit_amount=amount, amount=amount),),
        "total": amount,
        "currency": paid.currency,
        "references": References(
            auction_id=str(session.auction_id),
            payment_session_id=str(session.id),
            payment_intent_id=paid.stripe_payment_intent_id,
        ),
    }
    return ReceiptData(**{**common, **more})


def _buyer(paid: Transaction) -> Buyer:
    address = jsons.loads(paid.buyer_address) if paid.buyer_address else {}
    return Buyer(
        name=paid.buyer_name or "",
        email=paid.buyer_email or "",
        address=tuple(address[part] for part in _ADDRESS_PARTS if address.get(part)),
    )


def _method(paid: Transaction) -> Method:
    return Method(brand=paid.card_brand or "", last4=paid.card_last4 or "")
