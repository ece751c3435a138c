"""Disputes: recorded as Stripe has them, told with the deadline, whatever the order and number of the events."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import jsons
from paywindow.models import database, disputes
from paywindow.models.tables import Dispute, Notification, PaymentSession

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

AMOUNT, FEE = 27_550, 1_500


def sell(shop: Shop, **changes: Any) -> tuple[PaymentSession, str]:
    """A settled sale; the session, and its charge at Stripe."""
    shop.deaf_to.add("receipts.render")
    session = shop.open_session(**changes)
    charge = shop.pay(session)["charge"]
    shop.deliver()
    return session, charge


def open_dispute(shop: Shop, charge: str, **options: Any) -> str:
    """Have the buyer dispute; the dispute's id at Stripe. Nothing is delivered yet."""
    return str(shop.control("disputes", charge=charge, **options)["id"])


def the_dispute(shop: Shop) -> Dispute:
    (row,) = shop.rows(Dispute)
    found: Dispute = row
    return found


def shown(shop: Shop, session: PaymentSession) -> dict[str, Any]:
    """The dispute in the marketplace's status answer."""
    found: dict[str, Any] = shop.snapshot(session)["transaction"]["dispute"]
    return found


def told(shop: Shop, session: PaymentSession) -> list[dict[str, Any]]:
    """What the marketplace was told of disputes, oldest first."""
    rows = shop.rows(Notification, Notification.session == session.id, Notification.type == "payment.disputed")
    return [jsons.loads(row.payload)["data"]["dispute"] for row in rows]


def books(shop: Shop) -> None:
    """What is recorded of disputes is what Stripe's ledger says, to the minor unit."""
    recorded = {
        row.stripe_dispute_id: (row.amount_minor, row.fee_minor, row.net_minor, row.status)
        for row in shop.rows(Dispute)
    }
    ledger = {row["id"]: (row["amount"], row["fee"], row["net"], row["status"]) for row in shop.ledger()["disputes"]}
    assert recorded == ledger


def blocked(shop: Shop, session: PaymentSession) -> bool:
    (paid,) = shop.transactions(session)
    with database.transaction():
        return disputes.blocking(paid) is not None


def withdrawn(shop: Shop, session: PaymentSession) -> int:
    (paid,) = shop.transactions(session)
    with database.transaction():
        return disputes.withdrawn(paid, disputes.of(paid))


def test_a_chargeback_is_recorded_shown_and_told_with_its_deadline(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    session, charge = sell(shop)
    open_dispute(shop, charge)

    with caplog.at_level(logging.WARNING):
        shop.deliver()

    dispute = shown(shop, session)
    assert (dispute["status"], dispute["inquiry"], dispute["reason"]) == ("needs_response", False, "fraudulent")
    assert (str(dispute["amount"]), str(dispute["fee"]), dispute["feeCurrency"]) == ("275.50", "15.00", "USD")
    assert (dispute["fundsWithdrawn"], dispute["fundsReinstated"]) == (True, False)
    assert dispute["evidenceDueBy"] is not None
    assert told(shop, session)[-1]["evidenceDueBy"] == dispute["evidenceDueBy"]
    assert f"evidence is due by {dispute['evidenceDueBy']}" in caplog.text
    # The session stays what it was: the dispute is about its transaction.
    assert shop.session(session.id).status == "completed"
    assert blocked(shop, session)
    assert withdrawn(shop, session) == AMOUNT
    books(shop)


def test_the_buyer_is_not_shown_the_dispute(shop: Shop) -> None:
    session, charge = sell(shop)
    open_dispute(shop, charge)
    shop.deliver()

    assert "dispute" not in shop.snapshot(session, "buyer")["transaction"]


@pytest.mark.parametrize(("step", "net", "left"), [("win", -FEE, 0), ("lose", -AMOUNT - FEE, AMOUNT)])
def test_a_dispute_is_won_or_lost(shop: Shop, step: str, net: int, left: int) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge)
    shop.deliver()
    shop.control(f"disputes/{dispute_id}/review")
    shop.deliver()
    shop.control(f"disputes/{dispute_id}/{step}")
    shop.deliver()

    dispute = shown(shop, session)
    assert (dispute["status"], dispute["fundsReinstated"]) == ({"win": "won", "lose": "lost"}[step], step == "win")
    assert dispute["closedAt"] is not None
    row = the_dispute(shop)
    assert (row.fee_minor, row.net_minor) == (FEE, net)
    assert withdrawn(shop, session) == left
    assert blocked(shop, session) is (step == "lose")
    assert [each["status"] for each in told(shop, session)] == ["needs_response", "under_review", dispute["status"]]
    books(shop)


def test_a_loss_that_is_turned_round_on_appeal_is_no_loss(shop: Shop) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge)
    shop.control(f"disputes/{dispute_id}/lose")
    shop.deliver()
    assert withdrawn(shop, session) == AMOUNT

    shop.control(f"disputes/{dispute_id}/win")
    shop.deliver()

    assert (shown(shop, session)["status"], withdrawn(shop, session), blocked(shop, session)) == ("won", 0, False)
    books(shop)


def test_an_inquiry_is_not_a_loss_and_forbids_no_refund(shop: Shop) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge, inquiry=True)
    shop.deliver()
    dispute = shown(shop, session)
    assert (dispute["status"], dispute["inquiry"]) == ("warning_needs_response", True)
    assert (dispute["fundsWithdrawn"], dispute["fee"], withdrawn(shop, session)) == (False, None, 0)
    assert not blocked(shop, session)

    shop.control(f"disputes/{dispute_id}/close")
    shop.deliver()

    assert (shown(shop, session)["status"], withdrawn(shop, session)) == ("warning_closed", 0)
    books(shop)


def test_an_inquiry_that_escalates_takes_the_money(shop: Shop) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge, inquiry=True)
    shop.deliver()
    shop.control(f"disputes/{dispute_id}/escalate")
    shop.deliver()

    assert (shown(shop, session)["inquiry"], shown(shop, session)["fundsWithdrawn"]) == (False, True)
    assert blocked(shop, session)
    books(shop)


def test_a_dispute_of_a_part_takes_that_part(shop: Shop) -> None:
    session, charge = sell(shop)
    open_dispute(shop, charge, amount=5_000)
    shop.deliver()

    assert (withdrawn(shop, session), str(shown(shop, session)["amount"])) == (5_000, "50.00")
    books(shop)


def test_a_test_card_disputes_before_its_payment_is_recorded(shop: Shop) -> None:
    # Given: the events in the worst order, the dispute's first
    shop.deaf_to.add("receipts.render")
    session = shop.open_session()
    shop.pay(session, card="4000000000000259")
    for event in reversed(shop.events()):
        shop.deliver_event(event)
        shop.work()
    shop.pass_time(minutes=1)
    shop.sweep()

    assert shop.session(session.id).status == "completed"
    assert shown(shop, session)["status"] == "needs_response"
    books(shop)


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_number_of_the_events_matters(shop: Shop, seed: int) -> None:
    chance = random.Random(seed)
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge, inquiry=True)
    for step in ("escalate", "review", chance.choice(["win", "lose"])):
        shop.control(f"disputes/{dispute_id}/{step}")
    events = [event for event in shop.events() if event["type"].startswith("charge.dispute.")]
    shuffled = chance.sample(events, len(events))

    for event in [*shuffled, *shuffled[:3]]:
        shop.deliver_event(event, times=chance.choice([1, 2]))
        if chance.random() < 0.5:
            shop.work()
    shop.work()

    books(shop)
    statuses = [each["status"] for each in told(shop, session)]
    assert statuses == [the_dispute(shop).status]  # each state is told once, and only what Stripe says by now


def test_an_older_look_at_stripe_is_not_written_over_a_newer_one(shop: Shop) -> None:
    # Given: a reading of the open dispute whose reply is held
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge)
    shop.deliver(work=False)
    while not any(message.actor_name == "disputes.read" for message in shop.queue.messages):
        shop.run(shop.queue.messages.popleft())
    reading = shop.take("disputes.read")
    shop.fault("hold_reply", method="GET", path_prefix="/v1/disputes/")

    # When: the dispute is won and that is told before the reply comes
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(shop.run, reading)
        shop.await_hold()
        shop.control(f"disputes/{dispute_id}/win")
        shop.deliver()
        shop.control("holds/release")
        late.result()
    shop.work()

    assert shown(shop, session)["status"] == "won"
    books(shop)


def test_a_dispute_is_read_again_when_stripe_was_away(shop: Shop) -> None:
    session, charge = sell(shop)
    open_dispute(shop, charge)
    shop.fault("500", times=2, path_prefix="/v1/disputes")
    with pytest.raises(Exception, match=r".+"):
        shop.deliver()
    shop.work()
    shop.pass_time(minutes=2)
    shop.sweep()

    assert shown(shop, session)["status"] == "needs_response"
    books(shop)


def test_a_dispute_of_another_programs_payment_is_foreign(shop: Shop) -> None:
    page = shop.open_page_elsewhere({})
    charge = shop.control(f"checkout/{page['id']}/pay")["charge"]
    open_dispute(shop, charge)
    shop.deliver()

    assert shop.verdicts()["charge.dispute.created"] == "foreign"
    assert shop.rows(Dispute) == []


# Refunds meanwhile


@pytest.mark.parametrize("step", [None, "review", "lose"])
def test_a_refund_is_refused_while_the_bank_has_or_may_get_the_money(shop: Shop, step: str | None) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge)
    if step is not None:
        shop.control(f"disputes/{dispute_id}/{step}")
    shop.deliver()

    outcome = shop.refund(session, "refund-1")

    assert (outcome["status"], outcome["body"]["code"]) == (409, "payment_disputed")
    assert outcome["body"]["dispute"]["stripeDisputeId"] == dispute_id
    assert shop.refunds(session) == []
    assert shop.ledger()["refunds"] == []


def test_a_won_payment_and_one_under_inquiry_can_be_refunded(shop: Shop) -> None:
    session, charge = sell(shop)
    dispute_id = open_dispute(shop, charge, inquiry=True)
    shop.deliver()
    assert shop.refund(session, "refund-1", amount="10.00")["status"] == 201
    shop.control(f"disputes/{dispute_id}/escalate")
    shop.control(f"disputes/{dispute_id}/win")
    shop.deliver()

    assert shop.refund(session, "refund-2", amount="10.00")["status"] == 201
    assert [row.status for row in shop.refunds(session)] == ["succeeded", "succeeded"]
    books(shop)


def test_a_refund_that_stripe_refuses_because_nobody_had_told_of_the_dispute_is_held(shop: Shop) -> None:
    session, charge = sell(shop)
    open_dispute(shop, charge)

    outcome = shop.refund(session, "refund-1")

    assert (outcome["status"], outcome["body"]["code"]) == (409, "refund_blocked")
    assert [row.status for row in shop.refunds(session)] == ["held"]
    assert shop.session(session.id).hold_reason == "refund_blocked"
