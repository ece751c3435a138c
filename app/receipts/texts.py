"""The words of a receipt in the buyer's language.

Each template version has its own table per language beside it (``templates/<version>/<language>.json``), so that an old
receipt keeps its words when the texts are revised.
"""

import json
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError

from paywindow.receipts.data import Kind

TEMPLATES = Path(__file__).parent / "templates"
FALLBACK = "en"


@cache
def languages(version: str) -> frozenset[str]:
    """The languages that a template version can be printed in: ``{"en", "de", ...}``."""
    return frozenset(path.stem for path in (TEMPLATES / version).glob("*.json"))


@cache
def texts(version: str, language: str, kind: Kind) -> dict[str, str]:
    """All texts of one document: those common to every kind, and those of ``kind``."""
    table = json.loads((TEMPLATES / version / f"{language}.json").read_text(encoding="utf-8"))
    return {**table["common"], **table[kind]}


def locale_for(version: str, tag: str) -> Locale:
    """The locale to print in, for a tag such as ``de``, ``de-AT``, ``es-419`` or Stripe's ``auto``.

    The territory is kept, for it decides how amounts and dates look; a language without texts becomes English.
    """
    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (ValueError, UnknownLocaleError, TypeError):
        return Locale(FALLBACK)
    return locale if locale.language in languages(version) else Locale(FALLBACK)
