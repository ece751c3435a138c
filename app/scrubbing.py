"""Taking out of texts what must not leave the process with a log line or an error report: card numbers, keys, tokens and
personal data.

Last in line: nothing of the kind is logged on purpose. Libraries put requests, parameters and rows into the texts of their
errors, though. One expression finds all of it in one pass; what it cannot know by its looks, the configured secrets
themselves, is added by :func:`know`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from paywindow import card_numbers

#: Shorter secrets would hide ordinary words.
SHORTEST_SECRET = 8
#: Texts are cut here; a log line is not a place for more.
LONGEST_TEXT = 32_768

#: Fields whose values are left out whatever they are.
PRIVATE_FIELDS = frozenset(
    "card_number cvc cvv expiry exp_month exp_year authorization cookie password token secret client_secret api_key "
    "email buyer_email buyer_name phone address buyer_address line1 line2 postal_code".split()
)
_HIDDEN = "[hidden]"

# Name of the group -> what it looks like. The earliest match counts, then the first of the list.
_KINDS = {
    # Kept as it is, so that its digits are not taken for a card's.
    "uuid": r"(?<![0-9A-Fa-f-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9A-Fa-f-])",
    "key": r"(?<![A-Za-z0-9])(?:sk|rk|whsec|pwk)_[A-Za-z0-9_+/=-]{3,}",
    "private_key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]*-----)?",
    "client_secret": r"(?<=_)secret_[A-Za-z0-9_%+/=-]{6,}",
    "authorization": r"\b[Bb]earer\s+[^\s\"',;]+|\b[Aa]uthorization['\"]?: ?['\"]?[Bb]asic\s+[^\s\"',;]+",
    "credentials": r"(?<=://)[^\s/@:\"'<>?#]{0,256}:[^\s/@\"'<>?#]{1,512}(?=@)",
    "buyer_token": r"(?<![0-9a-f])[0-9a-f]{32}\.[A-Za-z0-9_-]{20,}",
    "parameter": r"(?<=[?&])(?i:token|sig|signature|policy|x-amz-[a-z-]+|client_secret|access_token|key)=[^&\s\"'<>]+",
    "password": r"(?<![A-Za-z])(?i:password|passwd|card_number|cvc|cvv)['\"]?\s?[:=]\s?['\"]?[^\s\"',;&})]+",
    "email": r"(?<![\w.%+'-])[\w.%+'-]{1,64}(?:@|%40)[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})\.[A-Za-z]{2,24}(?![A-Za-z0-9])",
    # Postgres shows rows and statements in the texts of its errors.
    "row": r"(?<=Failing row contains )\(.*",
    "statement": r"(?m:^LINE \d+: .*$)",
    "card": rf"(?<!\d)(?>{card_numbers.RUN})",
}
_EXPRESSION = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items())

# Almost every text has none of these, and then there is nothing to look for. Texts are looked for one by one, in lower case: an
# expression that has them all takes four times as long, on every line of a log.
_HINTS = (
    *("@", "%", "?", "&", "://", "-----"),
    *("sk_", "rk_", "whsec_", "pwk_", "secret_", "earer", "asic", "word", "passwd", "card_number", "cvc", "cvv"),
    "failing row",
)
_LONG_NUMBER = re.compile(r"\d[\d \-\u00a0]{12}")
_TOKEN = re.compile(r"[0-9a-f]{32}\.")

_pattern = re.compile(_EXPRESSION)
_literals: tuple[str, ...] = ()


def know(secrets: Iterable[str]) -> None:
    """Hide these texts from now on, too, wherever they appear. Replaces what was known before.

    Of several lines each counts for itself; what is shorter than :data:`SHORTEST_SECRET` is left out.
    """
    global _pattern, _literals
    lines = {line.strip() for secret in secrets for line in secret.splitlines()}
    _literals = tuple(sorted((line for line in lines if len(line) >= SHORTEST_SECRET), key=len, reverse=True))
    _name.cache_clear()
    known = "|".join(map(re.escape, _literals))
    _pattern = re.compile(f"(?P<configured>{known})|{_EXPRESSION}" if known else _EXPRESSION)


def scrub(text: str) -> str:
    """The text with each find replaced by its kind in brackets: ``[card]``, ``[email]``..."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]} [{len(text) - LONGEST_TEXT} more characters]"
    return _pattern.sub(_replace, text) if _may_hold_any(text) else text


def scrubbed(value: Any) -> Any:
    """A value of plain JSON types with all texts in it scrubbed, and private fields hidden; other objects become texts."""
    if isinstance(value, str):
        return scrub(value)
    if value is None or isinstance(value, bool | float | date):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**12 else _as_number(value)
    if isinstance(value, Mapping):
        return {
            _name(str(name)): _HIDDEN if str(name).lower() in PRIVATE_FIELDS and each else scrubbed(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrubbed(each) for each in value]
    return scrub(str(value))


def _may_hold_any(text: str) -> bool:
    folded = text.casefold()
    for hint in _HINTS:  # not any(), which takes three times as long
        if hint in folded:
            return True
    for literal in _literals:
        if literal in text:
            return True
    return bool("LINE " in text or _LONG_NUMBER.search(text) or ("." in text and _TOKEN.search(text)))


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    # There are few of them, on every line the same.
    return scrub(name)


def _as_number(value: int) -> int | str:
    text = scrub(str(value))
    return value if text == str(value) else text


def _replace(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[0]
    if kind == "uuid":
        return text
    if kind == "card":
        return "[card]" if any(card_numbers.in_run(text)) else text
    if kind in ("parameter", "password"):
        name = re.split(r"['\"]?\s?[:=]", text, maxsplit=1)[0]
        return f"{name}=[{'parameter' if kind == 'parameter' else 'password'}]"
    return f"[{kind}]"
