"""What Stripe's PaymentMethod and Customer objects mean to us. Never a card's number: Stripe tells it to nobody."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paywindow.checkout import moment
from paywindow.errors import Permanent

#: Stripe's types that move money from account to account (https://docs.stripe.com/payments/bank-debits and ``bank-transfers``).
_BANK_TYPES = frozenset(
    [
        "acss_debit",
        "au_becs_debit",
        "bacs_debit",
        "customer_balance",
        "ideal",
        "nz_bank_account",
        "pay_by_bank",
        "payto",
        "sepa_debit",
        "us_bank_account",
    ]
)
_WALLETS = {"apple_pay": "applePay", "google_pay": "googlePay"}


@dataclass(frozen=True, slots=True)
class StoredMethod:
    """A payment method that a customer keeps.

    ``kind``: card, applePay, googlePay, bankTransfer or other (``stripe_type`` says which). ``brand`` is a card's scheme or a
    bank's name.
    """

    id: str
    kind: str
    stripe_type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created: datetime


@dataclass(frozen=True, slots=True)
class StripeCustomer:
    """A customer as Stripe has it. ``default_method`` is the id of the payment method that was made the default, if one was."""

    id: str
    deleted: bool
    email: str | None
    default_method: str | None


def read_method(found: dict[str, Any]) -> StoredMethod:
    """Read a PaymentMethod (https://docs.stripe.com/api/payment_methods/object). Raises :class:`Permanent` when it is not one."""
    try:
        stripe_type = found["type"]
        details = found.get(stripe_type) or {}
        return StoredMethod(
            id=found["id"],
            kind=_kind(stripe_type, details),
            stripe_type=stripe_type,
            brand=details.get("brand") or details.get("bank_name"),
            last4=details.get("last4"),
            exp_month=details.get("exp_month"),
            exp_year=details.get("exp_year"),
            created=moment(found["created"]),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise Permanent(f"not a PaymentMethod: {type(error).__name__} {error}") from error


def read_customer(found: dict[str, Any]) -> StripeCustomer:
    """Read a Customer, or what is left of a deleted one (https://docs.stripe.com/api/customers/object)."""
    chosen = (found.get("invoice_settings") or {}).get("default_payment_method")
    return StripeCustomer(found["id"], bool(found.get("deleted")), found.get("email"), chosen)


def _kind(stripe_type: str, details: dict[str, Any]) -> str:
    if stripe_type == "card":
        return _WALLETS.get(str((details.get("wallet") or {}).get("type")), "card")
    return "bankTransfer" if stripe_type in _BANK_TYPES else "other"
