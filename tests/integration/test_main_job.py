"""A winner pays, the money is recorded, a receipt comes out: the whole flow, and the same flow after a declined card."""

from typing import TYPE_CHECKING, Any

import pytest

from paywindow.actors.runtime import runtime
from paywindow.models.tables import Outbox, Receipt, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


@pytest.mark.parametrize("cards_before", [[], ["4000000000000002"]], ids=["at once", "after a decline"])
def test_a_winner_pays_and_gets_a_receipt(shop: Shop, cards_before: list[str]) -> None:
    session = shop.open_session()
    for card in cards_before:
        shop.pay(session, card=card)
    shop.pay(session)

    shop.deliver()

    (receipt,) = shop.rows(Receipt)
    snapshot = shop.snapshot(session)
    assert snapshot["paymentSession"]["status"] == "completed"
    assert snapshot["transaction"]["settled"] is True
    assert str(snapshot["transaction"]["amount"]) == "275.50"
    assert snapshot["receipt"]["number"] == receipt.receipt_number
    assert runtime().receipts.get(receipt.storage_key).startswith(b"%PDF-")
    assert [row.status for row in shop.transactions(session)] == [*["failed"] * len(cards_before), "succeeded"]
    assert shop.rows(Outbox) == []
    assert [row.type for row in shop.rows(StripeEvent) if row.handled_at is None] == []


def test_many_winners_pay_and_the_books_agree_with_stripe(shop: Shop) -> None:
    shop.deaf_to = {"receipts.render"}
    sessions = [shop.open_session(amount_minor=1000 + number) for number in range(5)]
    for session in sessions[:4]:
        shop.pay(session)
    shop.deliver()

    taken = sum(charge["amount"] for charge in shop.ledger()["charges"] if charge["paid"])
    booked = sum(row.amount_minor for session in sessions for row in shop.transactions(session) if row.settled_at)
    assert booked == taken == 1000 + 1001 + 1002 + 1003
    assert [shop.session(session.id).status for session in sessions] == [*["completed"] * 4, "pending"]
