"""Amounts and moments as the buyer's locale writes them."""

import copy
import re
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format, get_timezone_gmt, get_timezone_name

from paywindow.money import Money
from paywindow.money import currency as currency_of

_NARROW_SPACE = "\u202f"
_SPACE = "\u00a0"
_LEFT_TO_RIGHT_MARK = "\u200e"


def money(minor: int, currency: str, locale: Locale) -> str:
    """An amount in minor units with its currency: ``27550 USD`` is ``$275.50`` in English.

    The number of decimals is ours, not CLDR's: CLDR drops the hundredths of some currencies (RSD or ALL, for instance)
    in which Stripe charges them, and a receipt must not round.
    """
    decimals = currency_of(currency).display
    # Babel keeps one pattern object per locale; ours has other decimals.
    pattern = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    text = pattern.apply(Money(minor, currency).decimal(), locale, currency=currency, currency_digits=False)
    if locale.text_direction == "rtl":
        # A Latin symbol stays in one piece between Arabic texts: "US$", not "$US".
        text = re.sub(r"([A-Za-z]+[^\sA-Za-z\d]*)", rf"{_LEFT_TO_RIGHT_MARK}\1{_LEFT_TO_RIGHT_MARK}", text)
    # CLDR's currencySpacing rule, which Babel leaves out: "KWD 1.250", not "KWD1.250".
    return _printable(re.sub(r"([A-Za-z])(\d)", rf"\1{_SPACE}\2", text))


def date(moment: datetime, timezone: str, locale: Locale) -> str:
    """The day, written out: ``November 14, 2026``."""
    return _printable(format_date(moment.astimezone(ZoneInfo(timezone)), format="long", locale=locale))


def date_and_time(moment: datetime, timezone: str, locale: Locale) -> str:
    """Day, time to the minute, and zone: ``November 14, 2026, 3:04 PM UTC``."""
    local = moment.astimezone(ZoneInfo(timezone))
    pattern = str(get_datetime_format("long", locale=locale)).replace("'", "")
    time = f"{format_time(local, 'short', locale=locale)}{_SPACE}{_zone(local, locale)}"
    return _printable(pattern.format(time, format_date(local, "long", locale=locale)))


def _zone(local: datetime, locale: Locale) -> str:
    """The zone as the locale abbreviates it (``MEZ``), else its distance from Greenwich (``GMT+03:00``)."""
    if local.tzname() == "UTC":
        return "UTC"  # CLDR's French says "TU", which few would recognise
    name = get_timezone_name(local, width="short", locale=locale)
    return get_timezone_gmt(local, locale=locale) if name.startswith(("+", "-")) else name


def _printable(text: str) -> str:
    """CLDR's narrow no-break space is missing in most fonts; the ordinary one keeps the words together as well."""
    return text.replace(_NARROW_SPACE, _SPACE)
