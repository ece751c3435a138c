"""Stripe's rules about amounts (https://docs.stripe.com/currencies): exponents, special cases, minimums, fees.

Amounts are integers in the currency's minor unit as Stripe counts it.
"""

from paywindow.sandbox.errors import StripeError, invalid

# Stripe takes these in whole units. UGX and ISK have no fraction either, but are sent times 100.
ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
WHOLE_HUNDREDS = frozenset(("ugx", "isk"))
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_TWO_DECIMAL_CODES = """
    usd aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny
    cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes
    kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd
    pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd
    tzs uah uyu uzs wst xcd xcg yer zar zmw
"""
TWO_DECIMAL = frozenset(_TWO_DECIMAL_CODES.split())
SUPPORTED = ZERO_DECIMAL | WHOLE_HUNDREDS | THREE_DECIMAL | TWO_DECIMAL

# The smallest charge, by settlement currency. Elsewhere Stripe converts; the sandbox asks for one minor unit.
_MINIMUMS = {
    **dict.fromkeys(["usd", "eur", "aud", "brl", "cad", "chf", "inr", "nzd", "sgd"], 50),
    "gbp": 30,
    **dict.fromkeys(["aed", "myr", "pln", "ron"], 200),
    "dkk": 250,
    **dict.fromkeys(["nok", "sek"], 300),
    "hkd": 400,
    **dict.fromkeys(["mxn", "thb"], 1000),
    "czk": 1500,
    **dict.fromkeys(["jpy", "krw"], 50),
    "huf": 17500,
}

# "Up to twelve digits for IDR, and up to eight digits for all other currencies."
_MAXIMUM = 99_999_999
_MAXIMUMS = {"idr": 999_999_999_999}


def exponent(currency: str) -> int:
    """Digits after the decimal point in Stripe's counting."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def minimum(currency: str) -> int:
    """The smallest total that Checkout takes, in minor units."""
    return _MINIMUMS.get(currency, 1)


def maximum(currency: str) -> int:
    """The largest total that Checkout takes, in minor units."""
    return _MAXIMUMS.get(currency, _MAXIMUM)


def step(currency: str) -> int:
    """What every amount must be a multiple of: whole hundreds in UGX and ISK, a last digit of 0 in three decimals."""
    return 100 if currency in WHOLE_HUNDREDS else 10 if currency in THREE_DECIMAL else 1


def display(amount: int, currency: str) -> str:
    """``27550, "usd"`` -> ``275.50 USD``."""
    digits = exponent(currency)
    text = str(amount).zfill(digits + 1)
    number = f"{text[:-digits]}.{text[-digits:]}" if digits else text
    return f"{number} {currency.upper()}"


def check_currency(currency: str, param: str) -> str:
    """The currency in lower case; raises StripeError when Stripe does not support it."""
    lowered = currency.lower()
    if lowered not in SUPPORTED:
        supported = ", ".join(sorted(SUPPORTED))
        raise invalid(f"Invalid currency: {lowered}. Stripe currently supports these currencies: {supported}", param)
    return lowered


def check_fraction(amount: int, currency: str, param: str) -> None:
    """Refuse fractions that the currency does not have."""
    if amount % step(currency):
        raise invalid(f"Invalid amount: {currency.upper()} amounts must be divisible by {step(currency)}.", param)


def check_total(total: int, currency: str) -> None:
    """Refuse a Checkout total that is too small or too large."""
    smallest = minimum(currency)
    if total < smallest:
        raise StripeError(
            f"The Checkout Session's total amount due must add up to at least {display(smallest, currency)}",
            code="amount_too_small",
        )
    largest = maximum(currency)
    if total > largest:
        raise StripeError(
            f"The Checkout Session's total amount due must be no more than {display(largest, currency)}",
            code="amount_too_large",
        )


def fee(amount: int, basis_points: int, fixed: int) -> int:
    """Stripe's fee in minor units: a share, rounded half up, plus a fixed part."""
    return (amount * basis_points + 5_000) // 10_000 + fixed
