"""Stripe's test cards (https://docs.stripe.com/testing), as far as Checkout goes.

A number that is not here is refused by page and control API alike: better than a card that only half does its thing.
"""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a card was refused: ``code`` and ``decline_code`` of the error, and the text that the buyer sees."""

    code: str
    decline_code: str
    message: str
    advice: str = "try_again_later"
    blocked: bool = False
    """Refused by Stripe's own risk rules, never sent to the network."""


class RefundCourse(Enum):
    """How a refund to a card goes (https://docs.stripe.com/testing#refunds)."""

    SUCCEEDS = auto()
    """Succeeded from the start."""
    PENDS = auto()
    """Pending at first, succeeded later."""
    FAILS_LATER = auto()
    """Succeeded at first, failed later."""


@dataclass(frozen=True, slots=True)
class Claim:
    """How the holder of a card disputes what it paid (https://docs.stripe.com/testing#disputes)."""

    reason: str
    inquiry: bool = False


@dataclass(frozen=True, slots=True)
class TestCard:
    """A card number and what it does."""

    number: str
    label: str
    decline: Decline | None = None
    authentication: bool = False
    """Asks for a 3-D Secure step first."""
    brand: str = "visa"
    refund: RefundCourse = RefundCourse.SUCCEEDS
    dispute: Claim | None = None
    """What its holder does as soon as it has paid."""

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _declined(
    code: str, message: str = "Your card was declined.", advice: str = "try_again_later", blocked: bool = False
) -> Decline:
    return Decline("card_declined", code, message, advice, blocked)


_EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "do_not_try_again")
_INCORRECT_CVC = Decline(
    "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data"
)
_PROCESSING_ERROR = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)

_ALL = (
    TestCard("4242424242424242", "Pays"),
    TestCard("5555555555554444", "Pays (Mastercard)", brand="mastercard"),
    TestCard("378282246310005", "Pays (American Express)", brand="amex"),
    TestCard("4000000000000002", "Declined", _declined("generic_decline")),
    TestCard(
        "4000000000009995",
        "Declined: insufficient funds",
        _declined("insufficient_funds", "Your card has insufficient funds."),
    ),
    TestCard("4000000000009987", "Declined: lost card", _declined("lost_card", advice="do_not_try_again")),
    TestCard("4000000000009979", "Declined: stolen card", _declined("stolen_card", advice="do_not_try_again")),
    TestCard("4000000000000069", "Declined: expired card", _EXPIRED),
    TestCard("4000000000000127", "Declined: incorrect CVC", _INCORRECT_CVC),
    TestCard("4000000000000119", "Declined: processing error", _PROCESSING_ERROR),
    TestCard(
        "4100000000000019",
        "Blocked by risk rules",
        _declined("fraudulent", advice="do_not_try_again", blocked=True),
    ),
    TestCard("4000000000003220", "Asks for 3-D Secure, then pays", authentication=True),
    TestCard(
        "4000008400001629",
        "Asks for 3-D Secure, then declines",
        _declined("generic_decline"),
        authentication=True,
    ),
    TestCard("4000000000007726", "Pays; a refund is pending first", refund=RefundCourse.PENDS),
    TestCard("4000000000005126", "Pays; a refund fails later", refund=RefundCourse.FAILS_LATER),
    TestCard("4000000000000259", "Pays, then is disputed as fraudulent", dispute=Claim("fraudulent")),
    TestCard("4000000000002685", "Pays, then is disputed as not received", dispute=Claim("product_not_received")),
    TestCard("4000000000001976", "Pays, then the bank inquires", dispute=Claim("fraudulent", inquiry=True)),
)

TEST_CARDS: dict[str, TestCard] = {card.number: card for card in _ALL}


def find_card(text: str) -> TestCard | None:
    """The test card with this number; blanks and dashes do not matter."""
    return TEST_CARDS.get(text.replace(" ", "").replace("-", ""))
