"""Amounts and moments as locales write them."""

import re
from datetime import UTC, datetime

import pytest
from babel import Locale

from paywindow.currencies import CURRENCIES
from paywindow.receipts import bidi, formats

NBSP = "\u00a0"
LRM = "\u200e"
MOMENT = datetime(2026, 11, 14, 15, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "shown"),
    [
        (27550, "USD", "en", "$275.50"),
        (123456, "EUR", "de", f"1.234,56{NBSP}€"),
        (123456, "EUR", "fr", f"1{NBSP}234,56{NBSP}€"),
        (123456, "EUR", "es", f"1.234,56{NBSP}€"),
        (27550, "JPY", "ja", "¥27,550"),
        (1250, "KWD", "en", f"KWD{NBSP}1.250"),
        (123456, "CHF", "de_CH", f"CHF{NBSP}1’234.56"),
        # Stripe counts hundredths of a krona that has none.
        (150000, "ISK", "en", f"ISK{NBSP}1,500"),
        (150000, "UGX", "en", f"UGX{NBSP}1,500"),
        # CLDR shows these without the hundredths that were paid.
        (1050, "RSD", "en", f"RSD{NBSP}10.50"),
        (1050, "ALL", "en", f"ALL{NBSP}10.50"),
        (27550, "USD", "ar", f"\u200f275.50{NBSP}{LRM}US${LRM}"),
        (1250, "KWD", "ar", f"\u200f1.250{NBSP}د.ك.\u200f"),
    ],
)
def test_an_amount_is_written_as_the_locale_writes_it(minor: int, currency: str, locale: str, shown: str) -> None:
    # Japan's locale has a full-width yen sign; both are the same character to a reader.
    assert formats.money(minor, currency, Locale.parse(locale)).replace("\uffe5", "¥") == shown


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_no_currency_loses_a_decimal(currency: str) -> None:
    kind = CURRENCIES[currency]
    minor = 1234 * 10**kind.exponent + (10 ** (kind.exponent - kind.decimals) if kind.decimals else 0)

    text = formats.money(minor, currency, Locale("en"))

    digits = text.rpartition(".")[2] if kind.display else ""
    assert len(digits) == kind.display
    assert "1,234" in text


@pytest.mark.parametrize(
    ("locale", "zone", "shown"),
    [
        ("en", "UTC", f"November 14, 2026, 3:03{NBSP}PM{NBSP}UTC"),
        ("en_GB", "UTC", f"14 November 2026, 15:03{NBSP}UTC"),
        ("fr", "UTC", f"14 novembre 2026, 15:03{NBSP}UTC"),
        ("de", "Europe/Berlin", f"14. November 2026, 16:03{NBSP}MEZ"),
        ("ja", "Asia/Tokyo", f"2026年11月15日 0:03{NBSP}JST"),
        ("en", "Asia/Kuwait", f"November 14, 2026, 6:03{NBSP}PM{NBSP}GMT+03:00"),
    ],
)
def test_a_moment_is_shown_in_the_configured_zone(locale: str, zone: str, shown: str) -> None:
    text = formats.date_and_time(MOMENT, zone, Locale.parse(locale))

    assert re.sub(" (at|à) ", ", ", text) == shown


def test_the_day_is_that_of_the_configured_zone() -> None:
    assert formats.date(MOMENT, "Asia/Tokyo", Locale("en")) == "November 15, 2026"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 Saffron Hill", "ltr"),
        ("شارع 12", "rtl"),
        ("12، شارع", "rtl"),
        ("2026", "ltr"),
        ("", "ltr"),
        ("שלום", "rtl"),
    ],
)
def test_a_text_reads_in_the_direction_of_its_first_letter(text: str, expected: str) -> None:
    assert bidi.direction(text) == expected


def test_right_to_left_words_are_wrapped_and_the_rest_is_escaped() -> None:
    shown = str(bidi.words_in_spans("<b>شكرا، لك & me"))

    assert shown == "&lt;b&gt;<span>شكرا</span>، <span>لك</span> &amp; me"


def test_other_texts_are_left_to_jinja() -> None:
    assert bidi.words_in_spans("<b>") == "<b>"
    assert bidi.words_in_spans(3) == 3
