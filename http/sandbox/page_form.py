"""What a buyer types on the hosted page, read and checked the way Stripe's page does before it submits."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from paywindow.sandbox.cards import find_card
from paywindow.sandbox.methods import Buyer, CardMethod, DelayedMethod

_EXPIRY = re.compile(r"^\s*(\d{1,2})\s*[/-]?\s*(\d{2}|20\d{2})\s*$")
_CVC = re.compile(r"^\d{3,4}$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class FormError(Exception):
    """Fields that the buyer has to correct: name of the field -> what is wrong."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(", ".join(problems))
        self.problems = problems


def read_method(fields: Mapping[str, str], now: int) -> CardMethod | DelayedMethod:
    """The chosen payment method. Raises FormError for a card that cannot be submitted."""
    method = fields.get("method", "card")
    if method != "card":
        return DelayedMethod(method)
    problems: dict[str, str] = {}
    card = find_card(fields.get("card_number", ""))
    if card is None:
        problems["card_number"] = "Use one of the test cards listed below."
    expiry = _read_expiry(fields.get("expiry", ""))
    if expiry is None:
        problems["expiry"] = "Write the expiry as MM / YY."
    elif _is_past(*expiry, now):
        problems["expiry"] = "The card's expiry date is in the past."
    if not _CVC.match(fields.get("cvc", "").strip()):
        problems["cvc"] = "The security code has 3 or 4 digits."
    if card is None or expiry is None or problems:
        raise FormError(problems)
    return CardMethod(card, *expiry)


def read_buyer(fields: Mapping[str, str], prefilled_email: str | None) -> Buyer:
    """Name and e-mail address. Raises FormError without a usable address."""
    email = fields.get("email", "").strip() or prefilled_email
    if email is None or not _EMAIL.match(email):
        raise FormError({"email": "Write an e-mail address such as name@example.com."})
    return Buyer(email, fields.get("name", "").strip() or None)


def _read_expiry(text: str) -> tuple[int, int] | None:
    match = _EXPIRY.match(text)
    if match is None or not 1 <= int(match[1]) <= 12:
        return None
    return int(match[1]), 2000 + int(match[2]) % 100


def _is_past(month: int, year: int, now: int) -> bool:
    today = datetime.fromtimestamp(now, UTC)
    return (year, month) < (today.year, today.month)
