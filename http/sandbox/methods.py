"""Payment methods that Checkout can offer here: cards, and one delayed bank debit for each of five currencies."""

from dataclasses import dataclass

from paywindow.sandbox.cards import TestCard
from paywindow.sandbox.errors import invalid

_DELAYED_BY_CURRENCY = {
    "usd": "us_bank_account",
    "eur": "sepa_debit",
    "gbp": "bacs_debit",
    "aud": "au_becs_debit",
    "cad": "acss_debit",
}
DELAYED_TYPES = frozenset(_DELAYED_BY_CURRENCY.values())


@dataclass(frozen=True, slots=True)
class Buyer:
    """What a buyer tells the page about themselves."""

    email: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class CardMethod:
    """A test card with the expiry that the buyer typed."""

    card: TestCard
    exp_month: int = 12
    exp_year: int = 2040
    wallet: str | None = None
    """``apple_pay`` or ``google_pay``, through which the card was used."""

    type = "card"


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that the customer kept, by the id of its payment method."""

    method_id: str
    card: TestCard

    type = "card"


@dataclass(frozen=True, slots=True)
class DelayedMethod:
    """A bank debit: submitted now, paid or refused days later."""

    type: str


def eligible_types(currency: str, allowed: list[str] | None, excluded: list[str] | None) -> list[str]:
    """The types that a session offers; raises StripeError when none is left.

    ``allowed`` only filters: left out, delayed methods come in.
    """
    dynamic = ["card", *([_DELAYED_BY_CURRENCY[currency]] if currency in _DELAYED_BY_CURRENCY else [])]
    types = [name for name in dynamic if (not allowed or name in allowed) and name not in (excluded or [])]
    if not types:
        raise invalid(
            "No valid payment method types for this Checkout Session. Please ensure that you have activated payment "
            "methods compatible with your chosen currency in your dashboard or update `allowed_payment_method_types`.",
            "allowed_payment_method_types",
        )
    return types
