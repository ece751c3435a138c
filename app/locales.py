"""The buyer's language: ``auto``, or a BCP 47 tag in its usual spelling, and what Stripe's Checkout makes of it."""

import re

AUTO = "auto"

#: The ``locale`` of https://docs.stripe.com/api/checkout/sessions/create, as the SDK's parameter definitions list it.
CHECKOUT_LOCALES = frozenset(
    (
        *("bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN", "hr"),
        *(
            "hu",
            "id",
            "it",
            "ja",
            "ko",
            "lt",
            "lv",
            "ms",
            "mt",
            "nb",
            "nl",
            "pl",
            "pt",
            "pt-BR",
            "ro",
            "ru",
            "sk",
            "sl",
        ),
        *("sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW"),
    )
)

#: Language, optional script, optional region: the part of RFC 5646 that names a language people write in.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?", re.ASCII | re.IGNORECASE
)


class InvalidLocale(ValueError):
    """Not a language tag."""


def normalised(tag: str) -> str:
    """The tag in its usual spelling: ``pt_br`` is ``pt-BR``. Raises :class:`InvalidLocale`."""
    if tag.lower() == AUTO:
        return AUTO
    match = _TAG.fullmatch(tag.replace("_", "-"))
    if match is None:
        raise InvalidLocale("must be 'auto' or a language tag such as de, pt-BR or zh-Hant-TW")
    language, script, region = match["language"].lower(), match["script"], match["region"]
    return "-".join(part for part in (language, script and script.title(), region and region.upper()) if part)


def for_checkout(tag: str | None) -> str:
    """The nearest locale that Checkout speaks: the language with its region, the language alone, else Stripe's choice.

    Stripe refuses a page whose locale it does not know; a receipt may well be in a language that Checkout lacks.
    """
    parts = (tag or AUTO).split("-")
    for candidate in (f"{parts[0]}-{parts[-1]}", parts[0]):
        if candidate in CHECKOUT_LOCALES:
            return candidate
    return AUTO
