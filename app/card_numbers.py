"""Recognising the number of a payment card in a text: what logs must not show and the database must not hold.

A number of 13 to 19 digits, written together or in groups with spaces or dashes between them, is taken for a card's when it
begins as the ranges of an issuer do and its last digit is the check digit of ISO/IEC 7812-1 (Luhn). One in ten numbers
passes the check by chance; timestamps, amounts and counters do not begin like a card.
"""

import re
from collections.abc import Iterator

_DIGITS = re.compile(r"[0-9]+")
# Digits in groups. Atomic: a run that is followed by the wrong thing is not tried again from its middle.
RUN = r"[0-9](?>(?:[ \-\u00a0]?[0-9]){12,})"
#: The same, standing alone: not part of an identifier such as ``pi_3Qx...``, a UUID, a receipt's number or a phone number.
_ALONE = re.compile(rf"(?<![\w+\-])(?>{RUN})(?![\w\-])")

# First digits and lengths, by issuer (ISO/IEC 7812; https://docs.stripe.com/testing has numbers of each).
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa: 13, 16, 19
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard: 16
    r"|3[47]\d{13}"  # American Express: 15
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover: 16 to 19
    r"|(?:30[0-59]|3[689]\d)\d{11,16}"  # Diners Club: 14 to 19
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB: 16 to 19
    r"|(?:62|81)\d{14,17}"  # UnionPay: 16 to 19
    r"|(?:5[06-9]|6[0137])\d{11,17}",  # Maestro: 13 to 19
    re.ASCII,
)
_SHORTEST, _LONGEST = 13, 19
# What a digit counts for when it is doubled: the sum of the product's digits.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card_number(digits: str) -> bool:
    """Whether a text of digits alone is a possible card number."""
    return _ISSUED.fullmatch(digits) is not None and _checks(digits)


def in_run(run: str) -> Iterator[str]:
    """The card numbers, digits alone, in digits and separators; each begins and ends where a group does.

    So a number is found when a date or a security code follows it.
    """
    groups = _DIGITS.findall(run)
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > _LONGEST:
                break
            if len(digits) >= _SHORTEST and is_card_number(digits):
                yield digits
                break


def find(text: str) -> list[str]:
    """All card numbers that stand alone in a text, digits alone, in order."""
    return [number for run in _ALONE.finditer(text) for number in in_run(run[0])]


def _checks(digits: str) -> bool:
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[0::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0
