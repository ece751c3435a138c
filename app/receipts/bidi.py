"""Right-to-left words on a page that Qt's WebKit draws."""

import re
import unicodedata
from typing import Any, Literal

from markupsafe import Markup

#: A run of Hebrew or Arabic letters and their marks, without the comma and the full stop between them.
_RIGHT_TO_LEFT_WORD = re.compile(r"([\u0590-\u05ff\u0610-\u061a\u0620-\u06d3\u06d5-\u06ff\u0750-\u077f]+)")


def direction(text: str) -> Literal["ltr", "rtl"]:
    """The direction in which a text of unknown language reads: its first strong character's (Unicode UAX #9, P2)."""
    strong = (unicodedata.bidirectional(character) for character in text)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


def words_in_spans(value: Any) -> Any:
    """For Jinja's ``finalize``: each right-to-left word of a text becomes a ``<span>``, the rest is escaped as ever.

    Qt's WebKit measures an Arabic word that touches punctuation as too narrow and draws the line beyond its right edge,
    where it is cut off. A word in an element of its own is measured alone, and right.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or not _RIGHT_TO_LEFT_WORD.search(value):
        return value
    span = Markup("<span>{}</span>")
    # split() with a group: texts between words at even places, words at odd ones.
    pieces = enumerate(_RIGHT_TO_LEFT_WORD.split(value))
    return Markup("").join(span.format(piece) if place % 2 else piece for place, piece in pieces)
