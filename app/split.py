"""Who gets what of a payment: the platform's fee, the seller's share, and both after refunds. Integers throughout.

``amount = platform's fee + seller's share``, always, to the minor unit. Stripe's own fee is the platform's: it comes out of the
platform's fee and never out of the seller's share (https://docs.stripe.com/connect/destination-charges).
"""

from dataclasses import dataclass
from decimal import Decimal

from paywindow import money
from paywindow.money import InvalidMoney

#: The finest percentage: ``2.9001``.
PERCENT_DECIMALS = 4
_HUNDRED_PERCENT = 100 * 10**PERCENT_DECIMALS


@dataclass(frozen=True, slots=True)
class FeeRule:
    """What the platform asks of every sale: a share, in ten-thousandths of a percent, and a fixed part by currency.

    ``fixed`` is in minor units; a currency that is not in it has no fixed part.
    """

    share: int
    fixed: dict[str, int]

    @classmethod
    def of(cls, percent: str | None, fixed: tuple[str, ...]) -> "FeeRule":
        """Read ``"2.5"`` and ``("USD:0.30", "JPY:40")``. Raises :class:`ValueError` naming the rule that is broken."""
        return cls(_share(percent or "0"), dict(_fixed(entry) for entry in fixed))

    def fee(self, amount: int, currency: str) -> int:
        """The fee of a sale: the share rounded half up to what the currency can be charged in, plus the fixed part.

        Never more than the amount.
        """
        share = rounded_share(amount, self.share, _HUNDRED_PERCENT, currency)
        return min(share + self.fixed.get(currency, 0), amount)


def seller_share(amount: int, fee: int, refunded: int, currency: str) -> int:
    """What the seller is due of ``amount`` once ``refunded`` of it went back to the buyer: never below zero.

    A refund is borne in proportion: the platform gives up the same part of its fee as the buyer gets back of the amount. What a
    bank takes back need not be a multiple of the currency's step: should rounding leave less than nothing, the platform bears it.
    """
    return max(amount - refunded - (fee - returned_fee(amount, fee, refunded, currency)), 0)


def returned_fee(amount: int, fee: int, refunded: int, currency: str) -> int:
    """What the platform gives up of its fee, for all refunds together, so that several small ones add up."""
    return rounded_share(fee, refunded, amount, currency)


def rounded_share(amount: int, part: int, whole: int, currency: str) -> int:
    """``amount * part / whole``, a half rounded up, in steps of what the currency can be charged in."""
    step = charge_step(currency)
    return (2 * amount * part + whole * step) // (2 * whole * step) * step


def charge_step(currency: str) -> int:
    """The smallest difference between two prices, in minor units: 1, but 100 for ISK and 10 for KWD."""
    kind = money.currency(currency)
    step: int = 10 ** (kind.exponent - kind.decimals)
    return step


def _share(text: str) -> int:
    percent = _decimal(text)
    scaled = percent.scaleb(PERCENT_DECIMALS)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"a percentage has at most {PERCENT_DECIMALS} decimals")
    if not 0 <= scaled <= _HUNDRED_PERCENT:
        raise ValueError("a percentage is from 0 to 100")
    return int(scaled)


def _fixed(entry: str) -> tuple[str, int]:
    code, colon, amount = entry.partition(":")
    if not colon:
        raise ValueError("a fixed fee is written CURRENCY:AMOUNT, such as USD:0.30")
    try:
        minor = money.to_minor(_decimal(amount), code)
    except InvalidMoney as error:
        raise ValueError(f"a fixed fee {error}") from error
    if minor < 0:
        raise ValueError("a fixed fee must not be negative")
    return code, minor


def _decimal(text: str) -> Decimal:
    # Decimal() itself would take "1_0", "٣" and "NaN".
    whole, _, fraction = text.partition(".")
    if not (text.isascii() and whole.isdigit() and (fraction.isdigit() or "." not in text)) or len(text) > 20:
        raise ValueError("a number is written with digits and perhaps a point, such as 2.5")
    return Decimal(text)
