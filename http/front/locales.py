"""The buyer's language, as the marketplace names it: ``auto``, or a BCP 47 tag in its usual spelling.

Well-formed tags are taken whether or not Stripe's Checkout speaks the language: the receipt may, and whoever opens
the page chooses what to tell Stripe.
"""

import re

AUTO = "auto"

#: Language, optional script, optional region: the part of RFC 5646 that names a language people write in.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?", re.IGNORECASE
)


class InvalidLocale(ValueError):
    """Not a language tag."""


def normalised(tag: str) -> str:
    """The tag in its usual spelling: ``pt_br`` is ``pt-BR``. Raises :class:`InvalidLocale`."""
    if tag.lower() == AUTO:
        return AUTO
    match = _TAG.fullmatch(tag.replace("_", "-"))
    if match is None or not tag.isascii():
        raise InvalidLocale("must be 'auto' or a language tag such as de, pt-BR or zh-Hant-TW")
    language, script, region = match["language"].lower(), match["script"], match["region"]
    return "-".join(part for part in (language, script and script.title(), region and region.upper()) if part)
