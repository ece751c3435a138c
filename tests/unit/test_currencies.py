"""The whole table of currencies, row by row: bounds, decimals, the way to Stripe and back, receipts, the sandbox's rules."""

from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import get_decimal_symbol

from paywindow import jsons
from paywindow.currencies import CURRENCIES, Currency
from paywindow.errors import Problem
from paywindow.front.requests import create_checkout
from paywindow.front.urls import AllowList
from paywindow.money import InvalidMoney, Money, chargeable, to_minor
from paywindow.receipts import formats
from paywindow.sandbox import money as sandbox
from paywindow.sandbox.errors import StripeError

ALL = pytest.mark.parametrize("kind", CURRENCIES.values(), ids=CURRENCIES)
LANGUAGES = ("en", "de", "fr", "es", "ja", "ar")


def amounts(kind: Currency) -> list[int]:
    """The bounds, the values beside them, and a price with all decimals that the currency has, in minor units."""
    price = 27_550 // kind.step * kind.step + kind.step
    between = [kind.minimum, kind.minimum + kind.step, max(price, kind.minimum), kind.maximum - kind.step, kind.maximum]
    return sorted(set(between))


def refusal(amount: Decimal, code: str) -> str:
    """The rule that a create request with this amount breaks, as the API tells it."""
    body = {
        "auctionId": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        "buyerId": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "amount": amount,
        "currency": code,
    }
    with pytest.raises(Problem) as refused:
        create_checkout(body, AllowList([]))
    (rule,) = refused.value.extra["errors"]
    assert (refused.value.status, rule["field"]) == (422, "amount")
    return str(rule["rule"])


def test_the_table_has_every_currency_that_stripe_lists_once() -> None:
    assert len(CURRENCIES) == 138
    assert list(CURRENCIES) == sorted(CURRENCIES)
    # https://docs.stripe.com/currencies#zero-decimal, without UGX, which is sent as hundredths.
    assert {code for code, kind in CURRENCIES.items() if kind.exponent == 0} == set(
        "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()
    )
    assert {code for code, kind in CURRENCIES.items() if kind.exponent == 3} == {"BHD", "JOD", "KWD", "OMR", "TND"}
    assert {code for code, kind in CURRENCIES.items() if kind.step == 100} == {"ISK", "UGX"}
    assert {code for code, kind in CURRENCIES.items() if kind.payout_step != kind.step} == {"HUF", "TWD"}
    assert {code for code, kind in CURRENCIES.items() if kind.maximum > 99_999_999} == {"IDR"}


@ALL
def test_a_row_makes_sense(kind: Currency) -> None:
    assert len(kind.code) == 3
    assert 0 <= kind.decimals <= kind.display <= kind.exponent or kind.display == kind.decimals == 0
    assert kind.step <= kind.minimum < kind.maximum
    for bound in (kind.minimum, kind.maximum, kind.payout_step):
        assert bound % kind.step == 0


@ALL
def test_an_amount_goes_to_stripe_and_back_unchanged(kind: Currency) -> None:
    for minor in amounts(kind):
        asked = Money(minor, kind.code).decimal()
        # As the marketplace writes it, as the front end reads it, as Stripe is told, as status answers write it again.
        read = jsons.loads(jsons.dumps({"amount": asked}))["amount"]
        sent = chargeable(Decimal(read), kind.code)
        assert sent.minor == minor
        assert jsons.dumps({"amount": sent.decimal()}) == jsons.dumps({"amount": asked})
        assert -int(asked.as_tuple().exponent) == kind.display  # type: ignore[arg-type] # it is finite


@ALL
def test_the_sandbox_takes_what_is_chargeable(kind: Currency) -> None:
    currency = sandbox.check_currency(kind.code, "currency")
    for minor in amounts(kind):
        sandbox.check_fraction(minor, currency, "unit_amount")
        sandbox.check_total(minor, currency)


@ALL
def test_the_sandbox_refuses_what_is_just_out_of_bounds(kind: Currency) -> None:
    currency = kind.code.lower()
    assert (sandbox.exponent(currency), sandbox.step(currency)) == (kind.exponent, kind.step)
    with pytest.raises(StripeError) as small:
        sandbox.check_total(kind.minimum - kind.step, currency)
    with pytest.raises(StripeError) as large:
        sandbox.check_total(kind.maximum + kind.step, currency)
    assert (small.value.code, large.value.code) == ("amount_too_small", "amount_too_large")
    if kind.step > 1:
        with pytest.raises(StripeError, match=f"divisible by {kind.step}"):
            sandbox.check_fraction(kind.minimum + 1, currency, "unit_amount")


def test_the_sandbox_knows_the_same_currencies() -> None:
    assert {code.upper() for code in sandbox.SUPPORTED} == set(CURRENCIES)


@ALL
def test_a_request_with_too_many_decimals_is_refused(kind: Currency) -> None:
    amount = Money(kind.minimum, kind.code).decimal() + Decimal(1) + Decimal(1).scaleb(-kind.decimals - 1)

    assert refusal(amount, kind.code) == f"must not have more than {kind.decimals} decimals in {kind.code}"


@ALL
def test_a_request_below_the_minimum_is_refused(kind: Currency) -> None:
    below = Money(kind.minimum - kind.step, kind.code).decimal()
    rule = (
        f"must be at least {Money(kind.minimum, kind.code)}, Stripe's minimum charge" if below else "greater than zero"
    )

    assert rule in refusal(below, kind.code)


@ALL
def test_a_request_above_the_maximum_is_refused(kind: Currency) -> None:
    above = Money(kind.maximum + kind.step, kind.code).decimal()
    rule = refusal(above, kind.code)

    assert rule in (
        f"must not exceed {Money(kind.maximum, kind.code)}, Stripe's largest charge",
        f"must not exceed 12 digits in the smallest unit of {kind.code}",
    )


@ALL
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receipt_shows_exactly_what_was_paid(kind: Currency, language: str) -> None:
    locale = Locale.parse(language)
    for minor in amounts(kind):
        shown = formats.money(minor, kind.code, locale)
        digits = "".join(character for character in shown if character.isdigit())
        assert Decimal(digits).scaleb(-kind.display) == Money(minor, kind.code).decimal()
        if kind.display:
            assert get_decimal_symbol(locale) + digits[-kind.display :] in shown


# Refunds and fees are sums and differences of minor units; what they need of this module is that no part is lost or made up.


@pytest.mark.parametrize(
    ("code", "paid", "refunds", "left"),
    [
        ("JPY", "1000", ["333", "333", "333"], "1"),  # a hundred times too small is the classic mistake
        ("JPY", "99999999", ["1", "99999997"], "1"),
        ("KWD", "12.340", ["0.01", "4.11"], "8.220"),
        ("BHD", "1.25", ["1.24"], "0.010"),
        ("ISK", "1500", ["499"], "1001"),
        ("UGX", "50000", ["1"], "49999"),
        ("USD", "275.50", ["91.83", "91.83"], "91.84"),
        ("HUF", "175.45", ["0.45"], "175.00"),
    ],
)
def test_partial_refunds_leave_what_arithmetic_says(code: str, paid: str, refunds: list[str], left: str) -> None:
    minor = chargeable(Decimal(paid), code).minor
    for refund in refunds:
        part = to_minor(Decimal(refund), code)
        assert part % CURRENCIES[code].step == 0
        minor -= part

    assert str(Money(minor, code).decimal()) == left


@pytest.mark.parametrize(("code", "refund"), [("JPY", "0.5"), ("KWD", "1.001"), ("ISK", "0.50"), ("UGX", "10.5")])
def test_a_refund_of_a_fraction_that_the_currency_lacks_is_refused(code: str, refund: str) -> None:
    with pytest.raises(InvalidMoney, match="decimals"):
        to_minor(Decimal(refund), code)


def test_the_fee_on_dinars_keeps_its_thousandths() -> None:
    # Stripe's own fee may be any number of fils, though a charge must end in 0: it is shown to the fils.
    charge, fee = chargeable(Decimal("12.340"), "KWD"), Money(sandbox.fee(12_340, 290, 30), "KWD")

    assert fee.minor == 388
    assert str(fee.decimal()) == "0.388"
    assert str(Money(charge.minor - fee.minor, "KWD").decimal()) == "11.952"
