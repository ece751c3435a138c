"""How purchases go: each course is a generator that buys, pays, thinks again, and waits where a marketplace waits.

A course ends when its people have done what they wanted, or were told that they cannot any more; what becomes of the money
then is the installation's business, and the audit's.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.error import HTTPError

from chaos.board import Board
from chaos.clock import Clock
from chaos.market import Market, Steps
from chaos.plans import EXPONENTS, Plan

from paywindow.sandbox.control_client import ControlClient

CARDS = {
    "pays": "4242424242424242",
    "declined": "4000000000000002",
    "at the bank": "4000000000003220",
    "refunds pend": "4000000000007726",
    "refunds fail": "4000000000005126",
}
#: After one of these nothing more comes by itself; nor after both of those: the page cannot be opened.
OVER = {"payment.completed", "payment.expired", "payment.canceled", "payment.refunded", "payment.held"}
REFUSED = {"payment.failed", "auction.released"}


class Purchase:
    """One purchase under way: the marketplace, the buyer and the buyer's bank, as far as the plan needs them."""

    def __init__(
        self, plan: Plan, sellers: tuple[str, ...], market: Market, stripe: ControlClient, clock: Clock, board: Board
    ):
        self.plan = plan
        self.session_id = ""
        self.page = ""
        self._maker = None if plan.seller is None else sellers[plan.seller]
        self._market = market
        self._stripe = stripe
        self._clock = clock
        self._board = board

    def open(self, key: str = "create", **changes: Any) -> Steps[bool]:
        """Ask for a session; whether there is one to pay."""
        answer = yield from self._market.command("/payments/checkout/create", self._body(**changes), self._key(key))
        return self._took(answer)

    def command(self, path: str, key: str, **body: Any) -> Steps[bool]:
        """A command about the session; whether it had its effect. A new page is remembered."""
        answer = yield from self._market.command(path.format(id=self.session_id), body, self._key(key))
        return self._took(answer)

    def pay(self, card: str = "pays", **how: Any) -> dict[str, Any] | None:
        """Pay on the page that is known; what Stripe said, None if the page is closed."""
        return self.at_stripe(f"checkout/{self.page}/pay", **(how or {"card": CARDS[card]}))

    def at_stripe(self, path: str, **body: Any) -> dict[str, Any] | None:
        """Something that people do at Stripe, which may refuse it."""
        try:
            return self._stripe.call("POST", f"/{path}", **body)
        except HTTPError as refusal:
            if refusal.code >= 500:
                raise
            refusal.close()
            return None

    def told(self, *kinds: str) -> Callable[[], bool]:
        """A wait: until the marketplace was told one of these, or that it is over."""
        wanted = OVER | set(kinds)

        def come() -> bool:
            told = self._board.told(self.session_id)
            return not wanted.isdisjoint(told) or told >= REFUSED

        return come

    def was_told(self, kind: str) -> bool:
        """Whether it was."""
        return kind in self._board.told(self.session_id)

    def let_pass(self, minutes: float) -> None:
        """Time passes, for everybody."""
        self._clock.jump(timedelta(minutes=minutes))

    def money(self, part: float = 1.0) -> float | int:
        """A part of the price as the API takes it, in steps that every currency allows."""
        exponent = EXPONENTS.get(self.plan.currency, 2)
        step = 10 if exponent == 3 else 1
        minor = max(int(self.plan.amount_minor * part) // step * step, step)
        return json.loads(str(Decimal(minor).scaleb(-exponent)))  # type: ignore[no-any-return]

    def _body(self, **changes: Any) -> dict[str, Any]:
        plan = self.plan
        return {
            "auctionId": plan.auction_id,
            "buyerId": plan.buyer_id,
            "amount": self.money(),
            "currency": plan.currency,
            "description": f"Lot {plan.number}",
            "buyerEmail": "winner@example.com",
            "windowMinutes": plan.window_minutes,
            "latePolicy": plan.late_policy,
            **({"makerId": self._maker} if self._maker else {}),
            **changes,
        }

    def _key(self, name: str) -> str:
        return f"{self.plan.auction_id}-{name}"

    def _took(self, answer: Any) -> bool:
        if answer.ok:
            session = answer.json().get("paymentSession") or {}
            self.session_id = session.get("id", self.session_id)
            if url := session.get("stripeCheckoutUrl"):
                self.page = url.split("/c/pay/")[1].split("#")[0]
        return bool(answer.ok)


Course = Callable[[Purchase], Steps[None]]


def paid(purchase: Purchase) -> Steps[None]:
    """Bought and paid."""
    if (yield from purchase.open()):
        purchase.pay()
        yield purchase.told()


def declined_then_paid(purchase: Purchase) -> Steps[None]:
    """The first card is declined, the second pays, on the same page."""
    if (yield from purchase.open()):
        purchase.pay("declined")
        if purchase.plan.turns[0] < 0.5:
            yield purchase.told("payment.failed")
        purchase.pay()
        yield purchase.told()


def retried(purchase: Purchase) -> Steps[None]:
    """The card is declined; the buyer asks for another try, and pays on the new page."""
    if (yield from purchase.open()):
        purchase.pay("declined")
        yield purchase.told("payment.failed")
        yield from purchase.command("/payments/retry/{id}", "retry")
        purchase.pay()
        yield purchase.told()


def abandoned(purchase: Purchase) -> Steps[None]:
    """Nobody ever pays; the window will close by itself."""
    yield from purchase.open()


def canceled(purchase: Purchase) -> Steps[None]:
    """Called off before anybody paid."""
    if (yield from purchase.open()):
        yield from purchase.command("/payments/checkout/{id}/cancel", "cancel", reason="unsold after all")


def canceled_while_paying(purchase: Purchase) -> Steps[None]:
    """Called off while the buyer pays."""
    if (yield from purchase.open()):
        purchase.pay("pays" if purchase.plan.turns[0] < 0.5 else "at the bank")
        yield from purchase.command("/payments/checkout/{id}/cancel", "cancel", reason="unsold after all")
        purchase.at_stripe(f"checkout/{purchase.page}/authenticate", passed=True)


def refunded(purchase: Purchase) -> Steps[None]:
    """Paid, then given back: wholly, or in two parts; at once, later, or not, as the card has it."""
    if not (yield from purchase.open()):
        return
    turns = purchase.plan.turns
    purchase.pay(("pays", "pays", "refunds pend", "refunds fail")[int(turns[0] * 4)])
    yield purchase.told()
    if not purchase.was_told("payment.completed"):
        return
    body: dict[str, Any] = {"sessionId": purchase.session_id, "reason": "broken in transit"}
    if turns[1] < 0.5:
        yield from purchase.command("/payments/refunds", "refund", **body, releaseAuction=turns[2] < 0.5)
        return
    for number in range(2):
        part = purchase.money(0.3 + 0.3 * number)
        yield from purchase.command("/payments/refunds", f"refund-{number}", **body, amount=part)


def disputed(purchase: Purchase) -> Steps[None]:
    """Paid, then disputed at the bank, which decides."""
    if not (yield from purchase.open()):
        return
    payment = purchase.pay()
    if payment is None or payment["charge"] is None:
        return
    if purchase.plan.turns[0] < 0.7:
        yield purchase.told()
    dispute = purchase.at_stripe("disputes", charge=payment["charge"], inquiry=purchase.plan.turns[1] < 0.2)
    if dispute is None:
        return
    yield purchase.told("payment.disputed")
    step = ("win", "lose")[purchase.plan.turns[2] < 0.5] if purchase.plan.turns[1] >= 0.2 else "close"
    purchase.at_stripe(f"disputes/{dispute['id']}/{step}")


def paid_late(purchase: Purchase) -> Steps[None]:
    """Paid just after the deadline, before anybody has closed the page; an operator decides about what is held."""
    if not (yield from purchase.open()):
        return
    purchase.let_pass(purchase.plan.window_minutes + 0.1)
    purchase.pay()
    yield purchase.told()
    if purchase.was_told("payment.held"):
        decision = ("accept", "refund")[purchase.plan.turns[0] < 0.5]
        path = "/payments/checkout/{id}/resolve"
        yield from purchase.command(path, "resolve", decision=decision, reason="looked at it")


def asked_twice(purchase: Purchase) -> Steps[None]:
    """Bought and paid, while the same request is sent a second time, by :func:`echo`."""
    yield from paid(purchase)


def asked_under_two_keys(purchase: Purchase) -> Steps[None]:
    """Bought and paid, while :func:`echo` asks for the same auction under a key of its own."""
    yield from paid(purchase)


def echo(purchase: Purchase) -> Steps[None]:
    """The other request of the two courses above: another program of the marketplace, at the same time."""
    if purchase.plan.course == "asked_twice":
        yield from purchase.open()
    elif purchase.plan.turns[0] < 0.5:
        yield from purchase.open("another")
    else:
        yield from purchase.open("another", buyerId=purchase.plan.auction_id)


def next_bidder(purchase: Purchase) -> Steps[None]:
    """The winner is at the bank when the window closes; the auction goes to the next bidder; both may pay."""
    if not (yield from purchase.open()):
        return
    purchase.pay("at the bank")
    purchase.let_pass(purchase.plan.window_minutes + 0.1)
    first = purchase.page
    if purchase.plan.turns[0] < 0.5:
        purchase.at_stripe(f"checkout/{first}/authenticate", passed=True)
    yield purchase.told()
    if (yield from purchase.open("next", buyerId=purchase.plan.auction_id)):
        purchase.at_stripe(f"checkout/{first}/authenticate", passed=True)
        purchase.pay()


def by_bank(purchase: Purchase) -> Steps[None]:
    """Paid by bank debit, which is confirmed, or refused, later."""
    if not (yield from purchase.open()):
        return
    purchase.pay(method="us_bank_account")
    yield purchase.told("payment.processing")
    purchase.at_stripe(f"checkout/{purchase.page}/settle", paid=purchase.plan.turns[0] < 0.7)


def reopened(purchase: Purchase) -> Steps[None]:
    """The window closes unpaid; an operator opens it again, and the buyer pays."""
    if not (yield from purchase.open()):
        return
    purchase.let_pass(purchase.plan.window_minutes + 0.1)
    yield purchase.told()
    path = "/payments/checkout/{id}/reopen"
    if purchase.was_told("payment.expired") and (
        yield from purchase.command(path, "reopen", minutes=1440, reason="asked for")
    ):
        purchase.pay()


TOLD: dict[str, Course] = {
    each.__name__: each
    for each in (
        paid,
        declined_then_paid,
        retried,
        abandoned,
        canceled,
        canceled_while_paying,
        refunded,
        disputed,
        paid_late,
        asked_twice,
        asked_under_two_keys,
        next_bidder,
        by_bank,
        reopened,
    )
}
ECHOED = {"asked_twice", "asked_under_two_keys"}
