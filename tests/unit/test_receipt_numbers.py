"""Names of series: by kind, by configured series and maker, by year where the issuer lives."""

from datetime import UTC, datetime

import pytest

from paywindow.receipts.data import Kind
from paywindow.receipts.numbers import receipt_number, series_name
from paywindow.settings import Role, Settings, SettingsError

NEW_YEAR = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def settings(**changes: str) -> Settings:
    return Settings.load(Role.MIGRATE, {"DATABASE_URL": "postgresql://127.0.0.1/pay", **changes})


@pytest.mark.parametrize(
    ("kind", "series"), [("receipt", "R-2026"), ("credit_note", "C-2026"), ("statement", "S-2026")]
)
def test_each_kind_counts_for_itself(kind: Kind, series: str) -> None:
    assert series_name(kind, settings(), NEW_YEAR) == series


@pytest.mark.parametrize(("zone", "year"), [("UTC", 2026), ("Europe/Berlin", 2027), ("America/New_York", 2026)])
def test_the_year_is_the_configured_zones(zone: str, year: int) -> None:
    assert series_name("receipt", settings(RECEIPT_TIMEZONE=zone), NEW_YEAR) == f"R-{year}"


def test_prefix_series_and_maker_are_part_of_the_name() -> None:
    chosen = settings(RECEIPT_PREFIX="INV", RECEIPT_SERIES="SHOP2")

    assert series_name("receipt", chosen, NEW_YEAR) == "INV-SHOP2-2026"
    assert series_name("receipt", chosen, NEW_YEAR, maker=7) == "INV-SHOP2-M7-2026"


@pytest.mark.parametrize(("number", "printed"), [(123, "R-2026-000123"), (1_234_567, "R-2026-1234567")])
def test_a_number_has_six_digits_until_it_needs_more(number: int, printed: str) -> None:
    assert receipt_number("R-2026", number) == printed


def test_two_kinds_with_the_same_prefix_are_refused() -> None:
    with pytest.raises(SettingsError, match="prefixes of their own"):
        settings(RECEIPT_STATEMENT_PREFIX="R")


@pytest.mark.parametrize("name", ["RECEIPT_PREFIX", "RECEIPT_SERIES"])
@pytest.mark.parametrize("value", ["a/b", "r", "A" * 20, "../R"])
def test_a_name_that_would_not_be_one_in_a_path_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})
