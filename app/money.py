"""Money: integer minor units and an ISO 4217 code. No floats.

A *minor unit* here is Stripe's: the integer that Stripe's API takes as ``amount``. For most currencies that is the hundredth;
the exceptions are data in :data:`CURRENCIES`, from https://docs.stripe.com/currencies#special-cases and
https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts.
"""

from dataclasses import dataclass
from decimal import Context, Decimal

MAX_DIGITS = 12
#: Holds every number that a request body has room for.
EXACT = Context(prec=100_000)


class InvalidMoney(ValueError):
    """An amount or currency that cannot be charged; the message names the rule."""


@dataclass(frozen=True, slots=True)
class Currency:
    """How Stripe counts one currency.

    ``exponent``: decimals of the integer Stripe takes. ``decimals``: decimals a price may really have (ISK and UGX are
    sent as hundredths but have no fraction; three-decimal currencies must end in 0, which leaves two).
    ``display``: decimals people expect to see. ``minimum``: smallest charge in minor units, where Stripe publishes one.
    """

    code: str
    exponent: int = 2
    decimals: int = 2
    display: int = 2
    minimum: int = 1


_ORDINARY = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK DKK "
    "DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR KYD KZT LAK LBP LKR "
    "LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
    "RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD XCG YER ZAR ZMW"
).split()
_ZERO_DECIMAL = tuple("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_HUNDREDTHS_WITHOUT_FRACTION = ("ISK", "UGX")
_THREE_DECIMALS = ("BHD", "JOD", "KWD", "OMR", "TND")
_MINIMUMS = {
    **dict.fromkeys(["USD", "EUR", "AUD", "BRL", "CAD", "CHF", "INR", "NZD", "SGD"], 50),
    **dict.fromkeys(["AED", "MYR", "PLN", "RON"], 200),
    **dict.fromkeys(["NOK", "SEK"], 300),
    **dict.fromkeys(["MXN", "THB"], 1000),
    **dict.fromkeys(["JPY", "KRW"], 50),
    "GBP": 30,
    "DKK": 250,
    "HKD": 400,
    "CZK": 1500,
    "HUF": 17500,
}


def _currencies() -> dict[str, Currency]:
    kinds = (
        (_ORDINARY, 2, 2, 2),
        (_ZERO_DECIMAL, 0, 0, 0),
        (_HUNDREDTHS_WITHOUT_FRACTION, 2, 0, 0),
        (_THREE_DECIMALS, 3, 2, 3),
    )
    return {
        code: Currency(code, exponent, decimals, display, _MINIMUMS.get(code, 1))
        for codes, exponent, decimals, display in kinds
        for code in codes
    }


CURRENCIES = _currencies()


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
        """The exact amount with as many decimals as people expect: 27550 USD is ``Decimal('275.50')``."""
        kind = currency(self.currency)
        exact = Decimal(self.minor).scaleb(-kind.exponent)
        return exact.quantize(Decimal(1).scaleb(-kind.display))

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


def chargeable(amount: Decimal, code: str) -> Money:
    """A price that Stripe would charge: positive, representable, at or above the currency's minimum.

    Raises :class:`InvalidMoney` with the rule that is broken.
    """
    minor = to_minor(amount, code)
    if minor <= 0:
        raise InvalidMoney("must be greater than zero")
    minimum = currency(code).minimum
    if minor < minimum:
        raise InvalidMoney(f"must be at least {Money(minimum, code)}, Stripe's minimum charge")
    return Money(minor, code)
