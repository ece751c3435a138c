"""Money: integer minor units and an ISO 4217 code. No floats.

A *minor unit* here is Stripe's: the integer that Stripe's API takes as ``amount``. For most currencies that is the hundredth;
the exceptions are data in :mod:`paywindow.currencies`.
"""

from dataclasses import dataclass
from decimal import Context, Decimal

from paywindow.currencies import CURRENCIES, Currency

#: What any amount may have, charge or not: the longest that Stripe takes in any currency.
MAX_DIGITS = 12
#: Holds every number that a request body has room for.
EXACT = Context(prec=100_000)


class InvalidMoney(ValueError):
    """An amount or currency that cannot be charged; the message names the rule."""


def currency(code: str) -> Currency:
    """Look a currency up by its upper-case ISO 4217 code. Raises :class:`InvalidMoney`."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise InvalidMoney(
            f"{code!r} is not a currency that Stripe charges (upper-case ISO 4217 code expected)"
        ) from None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency's minor units, as Stripe counts them."""

    minor: int
    currency: str

    def decimal(self) -> Decimal:
        """The exact amount with as many decimals as people expect: 27550 USD is ``Decimal('275.50')``.

        With more where that would not be exact: Stripe's fee on a payment in ISK may have a fraction, though no price has.
        """
        kind = currency(self.currency)
        exact = Decimal(self.minor).scaleb(-kind.exponent)
        shown = exact.quantize(Decimal(1).scaleb(-kind.display))
        return shown if shown == exact else exact

    def __str__(self) -> str:
        return f"{self.decimal()} {self.currency}"


def to_minor(amount: Decimal, code: str) -> int:
    """Turn an exact decimal into minor units. Raises :class:`InvalidMoney` when it has no such representation."""
    kind = currency(code)
    if not amount.is_finite():
        raise InvalidMoney("must be a finite number")
    # Size first: scaling 1e999999 would build a number of a million digits.
    if amount and amount.adjusted() + 1 + kind.exponent > MAX_DIGITS:
        raise InvalidMoney(f"must not exceed {MAX_DIGITS} digits in the smallest unit of {code}")
    # The exponent says how many decimals there really are; arithmetic would round them to the context's precision first.
    exponent = amount.normalize(EXACT).as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > kind.decimals:
        raise InvalidMoney(f"must not have more than {kind.decimals} decimals in {code}")
    return int(amount.scaleb(kind.exponent))


def plain(amount: Decimal) -> str:
    """An amount of unknown currency as text, the same for equal amounts: ``Decimal("5.0")`` and ``Decimal("5")`` are ``"5"``.

    Raises :class:`InvalidMoney` for what no currency has: more digits than Stripe takes, before or after the point.
    """
    if not amount.is_finite():
        raise InvalidMoney("must be a finite number")
    if amount and (amount.adjusted() >= MAX_DIGITS or amount.normalize(EXACT).as_tuple().exponent < -3):  # type: ignore[operator]
        raise InvalidMoney(f"must not exceed {MAX_DIGITS} digits, nor 3 decimals")
    return f"{amount.normalize(EXACT):f}"


def chargeable(amount: Decimal, code: str) -> Money:
    """A price that Stripe would charge: positive, representable, within the currency's bounds.

    Raises :class:`InvalidMoney` with the rule that is broken.
    """
    minor = to_minor(amount, code)
    if minor <= 0:
        raise InvalidMoney("must be greater than zero")
    kind = currency(code)
    if minor < kind.minimum:
        raise InvalidMoney(f"must be at least {Money(kind.minimum, code)}, Stripe's minimum charge")
    if minor > kind.maximum:
        raise InvalidMoney(f"must not exceed {Money(kind.maximum, code)}, Stripe's largest charge")
    return Money(minor, code)
