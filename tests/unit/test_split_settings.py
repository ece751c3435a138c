"""The settings about sellers: what they default to, and what is refused by name."""

import pytest

from paywindow.settings import Role, Settings, SettingsError
from paywindow.split import FeeRule

ENOUGH = {"REDIS_URL": "redis://127.0.0.1:1/0"}


def load(**environment: str) -> Settings:
    return Settings.load(Role.SCHEDULER, {**ENOUGH, **environment})


def test_without_a_word_makers_are_only_recorded_and_nothing_is_asked_of_them() -> None:
    settings = load()
    assert (settings.seller_payouts, settings.seller_on_behalf_of, settings.fee_rule) == ("off", False, None)


def test_a_fee_has_a_share_and_a_part_for_each_currency() -> None:
    settings = load(PLATFORM_FEE_PERCENT="2.5", PLATFORM_FEE_FIXED="USD:0.30, JPY:40")
    assert settings.fee_rule == FeeRule(25_000, {"USD": 30, "JPY": 40})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("PLATFORM_FEE_PERCENT", "120", "from 0 to 100"),
        ("PLATFORM_FEE_PERCENT", "a lot", "digits"),
        ("PLATFORM_FEE_FIXED", "0.30", "CURRENCY:AMOUNT"),
        ("PLATFORM_FEE_FIXED", "USD:0.30,USD:0.40", "names a currency twice"),
        ("PLATFORM_FEE_FIXED", "JPY:0.5", "decimals"),
        ("SELLER_PAYOUTS", "later", "'off', 'refuse' or 'collect'"),
        ("SELLER_RETURN_URL", "shop", "URL"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str, rule: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert rule in problem
