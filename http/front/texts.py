"""The words of the buyer's page, a table per language (``texts/<language>.json``), and which language a buyer gets.

The languages are those of the receipts. A text may have places, ``{amount}``; what is put there is escaped, the text is not.
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from babel import Locale

_FOLDER = Path(__file__).parent / "texts"
FALLBACK = "en"
_RIGHT_TO_LEFT = frozenset({"ar"})
#: Longer lists are not what a browser sends.
_MOST_RANGES = 20

#: Section -> key -> text; failures and problems have two: what it is, and what to do.
Table = dict[str, dict[str, Any]]


class Texts:
    """The words in one language: ``texts("page", "pay", amount="$5.00")``."""

    def __init__(self, language: str, table: Table):
        self.language = language
        self.direction = "rtl" if language in _RIGHT_TO_LEFT else "ltr"
        self._table = table

    def __call__(self, section: str, key: str, **places: object) -> Markup:
        """One text with its places filled. Raises :class:`KeyError` when there is none."""
        return Markup(self._table[section][key]).format(**places)  # noqa: S704 - our own file; places are escaped

    def has(self, section: str, key: str | None) -> bool:
        """Whether there is such a text."""
        return key in self._table[section]

    def section(self, name: str) -> dict[str, Any]:
        """All texts of a section."""
        return self._table[name]


@cache
def languages() -> frozenset[str]:
    """What the page can be shown in: ``{"en", "de", ...}``."""
    return frozenset(path.stem for path in _FOLDER.glob("*.json"))


@cache
def texts(language: str) -> Texts:
    """The words in one of :func:`languages`."""
    return Texts(language, json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8")))


def choose_locale(session_locale: str | None, accept_language: str = "") -> "Locale":
    """The buyer's locale: the session's, else the browser's first that we speak, else English.

    The territory is kept, for it decides how amounts and dates look. ``accept_language``: the header's value, RFC 9110, 12.5.4.
    """
    from babel import Locale

    for tag in (session_locale or "", *_accepted(accept_language)):
        locale = _spoken(tag)
        if locale is not None:
            return locale
    return Locale(FALLBACK)


def _spoken(tag: str) -> "Locale | None":
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):  # "auto", "*", or a language that Babel does not know
        return None
    return locale if locale.language in languages() else None


def _accepted(header: str) -> list[str]:
    """The header's language tags, the preferred first. What cannot be read, or is refused with q=0, is left out."""
    weighted: list[tuple[float, str]] = []
    for item in header.split(",")[:_MOST_RANGES]:
        tag, _, parameter = item.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if 0 < weight <= 1:
            weighted.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda each: -each[0])]
