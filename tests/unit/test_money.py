"""Money: the currencies' special cases, the bounds, and no way back to another amount."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paywindow.currencies import CURRENCIES
from paywindow.money import MAX_DIGITS, InvalidMoney, Money, chargeable, currency, to_minor


@pytest.mark.parametrize(
    ("amount", "code", "minor"),
    [
        ("275.50", "USD", 27550),
        ("275.5", "USD", 27550),
        ("1e2", "USD", 10000),
        ("500", "JPY", 500),
        ("500.0", "JPY", 500),
        ("500", "ISK", 50000),
        ("500", "UGX", 50000),
        ("1.25", "KWD", 1250),
        ("1.250", "KWD", 1250),
        ("175", "HUF", 17500),
        ("999999.99", "USD", 99999999),
        ("99999999", "JPY", 99999999),
        ("9999999999.99", "IDR", 999999999999),
    ],
)
def test_a_decimal_becomes_what_stripe_takes(amount: str, code: str, minor: int) -> None:
    assert chargeable(Decimal(amount), code) == Money(minor, code)


@pytest.mark.parametrize(
    ("amount", "code", "rule"),
    [
        ("0", "USD", "greater than zero"),
        ("-0.01", "USD", "greater than zero"),
        ("-275.50", "USD", "greater than zero"),
        ("275.505", "USD", "2 decimals"),
        ("500.5", "JPY", "0 decimals"),
        ("500.5", "ISK", "0 decimals"),
        ("1.255", "KWD", "2 decimals"),
        ("0.49", "USD", "at least 0.50 USD"),
        ("0.29", "GBP", "at least 0.30 GBP"),
        ("49", "JPY", "at least 50 JPY"),
        ("174", "HUF", "at least 175.00 HUF"),
        ("1000000", "USD", "must not exceed 999999.99 USD"),
        ("100000000", "JPY", "must not exceed 99999999 JPY"),
        ("100000", "KWD", "must not exceed 99999.990 KWD"),
        ("1000000", "ISK", "must not exceed 999999 ISK"),
        ("10000000000", "USD", "12 digits"),
        ("10000000000", "IDR", "12 digits"),
        ("1e999999", "USD", "12 digits"),
        ("1e-999999", "USD", "2 decimals"),
        ("NaN", "USD", "finite"),
        ("Infinity", "USD", "finite"),
        ("-Infinity", "USD", "finite"),
    ],
)
def test_an_amount_that_cannot_be_charged_is_refused_by_name_of_the_rule(amount: str, code: str, rule: str) -> None:
    with pytest.raises(InvalidMoney, match=rule):
        chargeable(Decimal(amount), code)


@pytest.mark.parametrize("code", ["XXX", "usd", "", "US", "USDT", "GBp"])
def test_an_unknown_currency_is_refused(code: str) -> None:
    with pytest.raises(InvalidMoney, match="not a currency"):
        chargeable(Decimal(1), code)


@pytest.mark.parametrize(
    ("minor", "code", "shown"),
    [(27550, "USD", "275.50"), (500, "JPY", "500"), (50000, "ISK", "500"), (1250, "KWD", "1.250"), (5, "USD", "0.05")],
)
def test_an_amount_is_shown_with_the_scale_of_its_currency(minor: int, code: str, shown: str) -> None:
    assert str(Money(minor, code).decimal()) == shown
    assert str(Money(minor, code)) == f"{shown} {code}"


@given(
    code=st.sampled_from(sorted(CURRENCIES)),
    whole=st.integers(min_value=1, max_value=10**9 - 1),
    cents=st.integers(min_value=0, max_value=99),
)
def test_what_is_shown_is_what_was_charged_in_every_currency(code: str, whole: int, cents: int) -> None:
    decimals = currency(code).decimals
    amount = Decimal(whole) + (Decimal(cents).scaleb(-2) if decimals == 2 else 0)

    minor = to_minor(amount, code)

    assert Money(minor, code).decimal() == amount
    assert len(str(minor)) <= MAX_DIGITS


def test_stripes_zero_decimal_currencies_are_counted_whole() -> None:
    # https://docs.stripe.com/currencies#zero-decimal, without UGX, which is sent as hundredths.
    zero = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()

    assert {code for code, kind in CURRENCIES.items() if kind.exponent == 0} == set(zero)
    assert {code for code, kind in CURRENCIES.items() if kind.exponent == 3} == {"BHD", "JOD", "KWD", "OMR", "TND"}
