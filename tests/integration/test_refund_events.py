"""Refunds made in Stripe's dashboard are imported, whatever the order of their events, and get credit notes."""

import random

import pytest

from paywindow.models.tables import Notification, Receipt, Refund


@pytest.fixture
def paid(shop):
    """A settled session with its receipt; documents are numbered, not drawn."""
    shop.deaf_to = {"receipts.render"}
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    (transaction,) = shop.transactions(session)
    return shop, session, transaction


def refund(shop, transaction, **body):
    return shop.control("refunds", payment_intent=transaction.stripe_payment_intent_id, **body)


def status(shop, session):
    (transaction,) = shop.transactions(session)
    return transaction.status


def credit_notes(shop):
    return sorted((row for row in shop.rows(Receipt) if row.kind == "credit_note"), key=lambda row: row.number)


def test_a_full_refund_is_recorded_and_gets_a_credit_note(paid):
    shop, session, transaction = paid

    refund(shop, transaction)
    shop.deliver()

    assert status(shop, session) == "refunded"
    assert shop.session(session.id).status == "completed"
    (note,) = credit_notes(shop)
    assert note.total_minor == 27550
    assert "payment.refunded" in [row.type for row in shop.rows(Notification)]
    assert shop.snapshot(session)["transaction"]["status"] == "refunded"


def test_partial_refunds_add_up_and_each_gets_its_credit_note(paid):
    shop, session, transaction = paid

    refund(shop, transaction, amount=5000)
    shop.deliver()
    assert status(shop, session) == "partially_refunded"
    refund(shop, transaction)
    shop.deliver()

    assert status(shop, session) == "refunded"
    assert [note.total_minor for note in credit_notes(shop)] == [5000, 22550]
    assert [note.number for note in credit_notes(shop)] == [1, 2]


def test_a_refund_that_fails_later_makes_the_payment_succeeded_again(paid):
    shop, session, transaction = paid
    made = refund(shop, transaction)
    shop.deliver()

    shop.control(f"refunds/{made['id']}/fail")
    shop.deliver()

    assert status(shop, session) == "succeeded"
    (row,) = shop.rows(Refund)
    assert (row.status, row.failure_reason) == ("failed", "expired_or_canceled_card")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_and_number_of_deliveries_do_not_matter(paid, seed):
    shop, session, transaction = paid
    made = refund(shop, transaction, amount=1000)
    shop.control(f"refunds/{made['id']}/fail")
    refund(shop, transaction, amount=2000)

    events = shop.deliver(shuffled_by=random.Random(seed))
    for event in events:
        shop.deliver_event(event, times=2)
    shop.work()

    assert status(shop, session) == "partially_refunded"
    assert sorted((row.amount_minor, row.status) for row in shop.rows(Refund)) == [
        (1000, "failed"),
        (2000, "succeeded"),
    ]
    assert 2000 in [note.total_minor for note in credit_notes(shop)]


def test_a_refund_of_a_payment_that_is_not_ours_is_foreign(paid):
    shop, session, transaction = paid
    refund(shop, transaction)
    (event,) = [event for event in shop.events() if event["type"] == "refund.created"]
    event["data"]["object"]["payment_intent"] = "pi_of_another_shop"

    shop.deliver_event(event)
    shop.work()

    assert status(shop, session) == "succeeded"
    assert shop.rows(Refund) == []


@pytest.mark.parametrize("first_word", ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"])
def test_a_refund_that_is_told_before_its_payment_is_recorded_once_the_payment_is(shop, first_word):
    shop.deaf_to = {"receipts.render"}
    session = shop.open_session()
    shop.pay(session)
    (intent,) = shop.ledger()["payment_intents"]
    shop.control("refunds", payment_intent=intent["id"])
    shop.tell("refund.created")
    assert shop.rows(Refund) == []

    shop.tell(first_word)
    shop.pass_time(minutes=1)
    shop.sweep()

    assert shop.verdicts()["refund.created"] == "applied"
    assert status(shop, session) == "refunded"
    assert [note.total_minor for note in credit_notes(shop)] == [27550]
