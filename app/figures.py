"""What Stripe's Charge says of money that moved behind it: Stripe's fee, the platform's, and the transfer to the seller.

None of it is there when the charge succeeds; it comes with ``charge.updated``, up to an hour later
(https://docs.stripe.com/payments/payment-intents/asynchronous-capture).
"""

from dataclasses import dataclass
from typing import Any

from paywindow.errors import Permanent


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one charge, as far as they are known. Amounts in minor units.

    ``stripe_fee`` is in ``stripe_fee_currency``, the currency in which the charge reached the balance; ``exchange_rate`` is
    Stripe's, as text, where that is not the charge's own. The fee and the transfer are those of a destination charge; where
    Stripe made them in another currency (``converted``), they say nothing of the parts of the payment, and are left out.
    """

    charge_id: str
    balance_transaction_id: str | None
    stripe_fee: int | None
    stripe_fee_currency: str | None
    exchange_rate: str | None
    application_fee_id: str | None
    application_fee: int | None
    application_fee_returned: int
    transfer_id: str | None
    transferred: int
    transfer_reversed: int
    converted: bool


def read_figures(charge: dict[str, Any]) -> Figures:
    """Read a charge with ``balance_transaction``, ``application_fee`` and ``transfer`` expanded.

    Raises :class:`Permanent` when it is not one.
    """
    try:
        return _read_figures(charge)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Permanent(f"not a Charge with its figures: {type(error).__name__} {error}") from error


def _read_figures(charge: dict[str, Any]) -> Figures:
    entry, fee, transfer = (charge.get(name) or {} for name in ("balance_transaction", "application_fee", "transfer"))
    rate = entry.get("exchange_rate")
    converted = any(each and each["currency"] != charge["currency"] for each in (fee, transfer))
    if converted:
        fee, transfer = {}, {}
    return Figures(
        charge_id=charge["id"],
        balance_transaction_id=entry.get("id"),
        stripe_fee=int(entry["fee"]) if entry else None,
        stripe_fee_currency=entry["currency"].upper() if entry else None,
        exchange_rate=None if rate is None else str(rate),
        application_fee_id=fee.get("id"),
        application_fee=int(fee["amount"]) if fee else None,
        application_fee_returned=int(fee.get("amount_refunded", 0)),
        transfer_id=transfer.get("id"),
        transferred=int(transfer.get("amount", 0)),
        transfer_reversed=int(transfer.get("amount_reversed", 0)),
        converted=converted,
    )
