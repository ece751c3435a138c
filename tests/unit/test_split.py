"""Who gets what: the fee over all currencies, and that nothing is lost or made up, whatever is refunded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paywindow.currencies import CURRENCIES
from paywindow.money import InvalidMoney
from paywindow.split import FeeRule, charge_step, returned_fee, rounded_share, seller_share

CODES = st.sampled_from(sorted(CURRENCIES))
PERCENTS = st.decimals(min_value=0, max_value=100, places=4).map(lambda value: format(value, "f"))


@st.composite
def sales(draw: st.DrawFn) -> tuple[str, int]:
    """A currency and an amount that can be charged in it, in minor units."""
    code = draw(CODES)
    return code, draw(st.integers(1, 10**9)) * charge_step(code)


@given(sales(), PERCENTS, st.integers(0, 10**6))
def test_the_fee_is_never_below_zero_nor_above_the_amount_and_can_be_charged(
    sale: tuple[str, int], percent: str, fixed: int
) -> None:
    code, amount = sale
    rule = FeeRule(FeeRule.of(percent, ()).share, {code: fixed * charge_step(code)})
    fee = rule.fee(amount, code)
    assert 0 <= fee <= amount
    assert fee % charge_step(code) == 0 or fee == amount
    assert fee + seller_share(amount, fee, 0, code) == amount


@given(sales(), st.data())
def test_after_any_refunds_platform_and_seller_have_what_the_buyer_left(
    sale: tuple[str, int], data: st.DataObject
) -> None:
    code, amount = sale
    step = charge_step(code)
    fee = data.draw(st.integers(0, amount // step)) * step
    parts = sorted(data.draw(st.lists(st.integers(0, amount // step), max_size=5)))
    before = amount - fee
    for refunded in [part * step for part in parts]:
        seller = seller_share(amount, fee, refunded, code)
        kept = fee - returned_fee(amount, fee, refunded, code)
        assert seller >= 0
        assert 0 <= kept <= fee
        assert seller + kept == amount - refunded
        assert seller <= before
        before = seller
    assert seller_share(amount, fee, amount, code) == 0


@pytest.mark.parametrize(("amount", "fee", "taken"), [(380, 370, 282), (10, 10, 4), (540, 530, 522)])
def test_what_a_bank_takes_in_odd_amounts_never_leaves_the_seller_less_than_nothing(
    amount: int, fee: int, taken: int
) -> None:
    assert seller_share(amount, fee, taken, "KWD") == 0


@pytest.mark.parametrize(
    ("percent", "fixed", "amount", "code", "fee"),
    [
        ("10", (), 27550, "USD", 2755),
        ("2.9", ("USD:0.30",), 1000, "USD", 59),
        ("12.5", (), 4, "USD", 1),  # half a cent is rounded up
        ("12.5", (), 3, "USD", 0),
        ("10", (), 105, "JPY", 11),
        ("10", ("JPY:40",), 50, "JPY", 45),
        ("3.3333", (), 12_340, "KWD", 410),  # fils in tens
        ("7", (), 12_300, "ISK", 900),  # whole krónur, sent as hundredths
        ("0", ("USD:5",), 300, "USD", 300),  # no more than there is
        ("0", ("USD:5",), 300, "EUR", 0),
        ("100", (), 300, "EUR", 300),
    ],
)
def test_fees_as_they_are_rounded(percent: str, fixed: tuple[str, ...], amount: int, code: str, fee: int) -> None:
    assert FeeRule.of(percent, fixed).fee(amount, code) == fee


@pytest.mark.parametrize(
    ("percent", "fixed"),
    [
        ("101", ()),
        ("-1", ()),
        ("1.00001", ()),
        ("NaN", ()),
        ("1e1", ()),
        ("1_0", ()),
        ("", ("USD",)),
        ("", ("USD:0.001",)),
        ("", ("USD:-1",)),
        ("", ("XXX:1",)),
    ],
)
def test_rules_that_mean_nothing_are_refused(percent: str, fixed: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"percentage|fixed fee|number"):
        FeeRule.of(percent or None, fixed)


def test_a_share_is_of_a_currency_that_there_is() -> None:
    with pytest.raises(InvalidMoney):
        rounded_share(100, 1, 2, "XXX")
