"""Books and Stripe are made to disagree in every way that has a code; each is found, explained, and mended if a rule decides."""

import uuid
from datetime import timedelta

import pytest

from paywindow import clock, ids, messages
from paywindow.actors import runtime
from paywindow.actors.reconcile import FIRST_STAGE, step
from paywindow.discrepancies import DISCREPANCIES
from paywindow.messages import build
from paywindow.models import database, inbox, reconciliations
from paywindow.models.tables import (
    CheckoutAttempt,
    Dispute,
    PaymentSession,
    Receipt,
    ReconciliationSeen,
    Refund,
    SellerMovement,
    StripeEvent,
    Transaction,
)

PENDS = "4000000000007726"
DECLINED = "4000000000000002"
REFUSES_REFUNDS_LATER = "4000000000005126"
#: Every code that a test below plants.
PLANTED = set()


def planting(*codes):
    """Which codes a test plants."""
    PLANTED.update(codes)
    return lambda test: test


def compare(shop, *, repairs=True, work=True):
    """Compare everything up to now; the findings by code."""
    shop.pass_time(minutes=5)
    at = clock.now()
    with database.transaction():
        run = reconciliations.start(
            "test", False, at - timedelta(days=40), at - reconciliations.SETTLING, FIRST_STAGE, at, repairs=repairs
        )
    while step(run.id):
        pass
    if work:
        shop.work()
    with database.transaction():
        return {row.code: row for row in reconciliations.findings(run)}


def outcomes(found):
    return {code: row.outcome for code, row in found.items()}


def lose_events(shop):
    """Let all events that were not delivered be taken for handled, though nothing was done: only the objects can tell."""
    for event in shop.events():
        with database.transaction():
            row = inbox.receive(event, "{}", clock.now())
            if row.handled_at is None:
                inbox.handled(row, "nothing", clock.now())
        shop._delivered.add(event["id"])


def edit(table, *conditions, **changes):
    """Change rows behind everybody's back."""
    with database.transaction():
        assert table.update(**changes).where(*conditions).execute() == 1


@pytest.fixture
def shop(make_shop):
    shop = make_shop()
    shop.deaf_to = {"receipts.render"}
    return shop


@pytest.fixture
def paid(shop):
    """A settled session and its payment."""
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    (payment,) = shop.transactions(session)
    return session, payment


def test_books_that_agree_have_no_findings(shop, paid):
    shop.open_session()
    canceled = shop.open_session()
    shop.cancel(canceled)
    shop.control("refunds", payment_intent=paid[1].stripe_payment_intent_id, amount=500)
    shop.deliver()

    assert compare(shop) == {}


@planting("event_never_received")
def test_an_event_that_never_came_is_put_into_the_inbox(shop):
    session = shop.open_session()
    shop.pay(session, DECLINED)

    found = compare(shop)

    assert outcomes(found) == {"event_never_received": "repaired"}
    assert "payment_intent.payment_failed" in found["event_never_received"].theirs
    assert shop.session(session.id).status == "failed"


@planting("payment_not_booked")
def test_a_payment_that_nobody_told_of_is_settled(shop):
    session = shop.open_session()
    shop.pay(session)
    lose_events(shop)

    looked = compare(shop, repairs=False)
    assert outcomes(looked) == {"payment_not_booked": "repairable"}
    assert shop.session(session.id).status == "pending"

    found = compare(shop)
    assert outcomes(found) == {"payment_not_booked": "repaired"}
    assert "275.50 USD" in found["payment_not_booked"].theirs
    assert found["payment_not_booked"].session_id == session.id
    assert shop.session(session.id).status == "completed"
    # The audit trail names whoever had the books compared.
    assert [(row.event, row.who, row.why) for row in shop.transitions(session)][-1] == (
        "paid",
        "test",
        "reconciliation",
    )
    assert len(shop.rows(Receipt)) == 1
    assert compare(shop) == {}


def test_a_late_payment_that_nobody_told_of_goes_the_way_of_late_payments(shop):
    session = shop.open_session(window_minutes=60, late_policy="hold")
    edit(PaymentSession, PaymentSession.id == session.id, expires_at=clock.now() - timedelta(minutes=10))
    shop.pay(session)
    lose_events(shop)

    found = compare(shop)

    assert found["payment_not_booked"].outcome == "held"
    assert shop.session(session.id).hold_reason == "paid_late_held"


@planting("page_payable_though_closed")
def test_a_page_that_outlived_its_session_is_expired(shop):
    session = shop.open_session()
    edit(PaymentSession, PaymentSession.id == session.id, status="expired", released_at=clock.now())

    found = compare(shop)

    assert outcomes(found) == {"page_payable_though_closed": "repaired"}
    assert [page["status"] for page in shop.ledger()["sessions"]] == ["expired"]


@planting("page_dead_though_open")
def test_a_session_whose_page_died_unnoticed_gets_a_new_one(shop):
    session = shop.open_session()
    runtime.runtime().gateway.expire_checkout(shop.checkout_id(session))
    lose_events(shop)

    found = compare(shop)

    assert outcomes(found) == {"page_dead_though_open": "repaired"}
    shop.sweep()
    assert [page["status"] for page in shop.ledger()["sessions"]] == ["expired", "open"]
    assert shop.attempt(session).kind == "roll"


@planting("page_missing_at_stripe", "page_not_booked")
def test_a_page_under_another_id_is_missed_on_both_sides(shop):
    session = shop.open_session()
    edit(CheckoutAttempt, CheckoutAttempt.session == session.id, stripe_checkout_id="cs_test_gone")

    found = compare(shop)

    assert outcomes(found) == {"page_missing_at_stripe": "left", "page_not_booked": "left"}
    assert found["page_missing_at_stripe"].subject == "cs_test_gone"


@planting("session_not_booked")
def test_a_page_that_names_a_session_nobody_knows_is_told(shop):
    shop.open_session()
    shop.open_page_elsewhere({"payment_session_id": str(uuid.uuid4()), "attempt": "1"})
    shop.open_page_elsewhere({"order": "of another program"})

    assert outcomes(compare(shop)) == {"session_not_booked": "left"}


@planting("charge_missing_at_stripe")
def test_a_settlement_without_a_charge_is_left_to_an_operator(shop):
    session = shop.open_session()
    runtime.runtime().gateway.expire_checkout(shop.checkout_id(session))
    lose_events(shop)
    edit(PaymentSession, PaymentSession.id == session.id, status="completed", completed_at=clock.now())
    with database.transaction():
        Transaction.create(
            id=uuid.uuid4(),
            session=session.id,
            attempt=CheckoutAttempt.get(CheckoutAttempt.session == session.id),
            stripe_payment_intent_id="pi_invented",
            status="succeeded",
            amount_minor=27550,
            currency="USD",
            settled_at=clock.now(),
            created_at=clock.now(),
            processed_at=clock.now(),
        )

    found = compare(shop)

    assert outcomes(found) == {"charge_missing_at_stripe": "left"}
    assert found["charge_missing_at_stripe"].ours == "275.50 USD, succeeded, settled"


@planting("amount_differs", "currency_differs")
@pytest.mark.parametrize(
    ("changes", "code", "ours"),
    [
        ({"amount_minor": 27500}, "amount_differs", "275.00 USD"),
        ({"currency": "EUR"}, "currency_differs", "275.50 EUR"),
    ],
)
def test_a_payment_that_was_edited_differs(shop, paid, changes, code, ours):
    edit(Transaction, Transaction.id == paid[1].id, **changes)

    found = compare(shop)

    assert outcomes(found) == {code: "left"}
    assert (found[code].ours, found[code].theirs) == (ours, "275.50 USD")


@planting("charge_details_missing")
def test_a_payment_without_its_charge_gets_it(shop, paid):
    _, payment = paid
    edit(Transaction, Transaction.id == payment.id, stripe_charge_id=None, card_last4=None)

    assert outcomes(compare(shop)) == {"charge_details_missing": "repaired"}

    (after,) = shop.rows(Transaction)
    assert (after.stripe_charge_id, after.card_last4) == (payment.stripe_charge_id, "4242")


@planting("payment_unaccounted")
def test_a_payment_that_is_neither_settled_nor_held_nor_refunded_is_told(shop, paid):
    edit(Transaction, Transaction.id == paid[1].id, settled_at=None)

    assert outcomes(compare(shop)) == {"payment_unaccounted": "left"}


@planting("refund_not_booked")
def test_a_refund_that_nobody_told_of_is_recorded_with_its_credit_note(shop, paid):
    session, payment = paid
    shop.control("refunds", payment_intent=payment.stripe_payment_intent_id, amount=5000)
    lose_events(shop)

    found = compare(shop)

    assert outcomes(found) == {"refund_not_booked": "repaired"}
    assert found["refund_not_booked"].theirs == "50.00 USD, succeeded"
    assert [row.status for row in shop.transactions(session)] == ["partially_refunded"]
    assert sorted(row.kind for row in shop.rows(Receipt)) == ["credit_note", "receipt"]


@planting("refund_status_differs")
def test_a_refund_whose_end_nobody_told_of_is_brought_up_to_date(shop):
    session = shop.open_session()
    shop.pay(session, PENDS)
    shop.deliver()
    (payment,) = shop.transactions(session)
    refund = shop.control("refunds", payment_intent=payment.stripe_payment_intent_id)
    shop.deliver()
    shop.control(f"refunds/{refund['id']}/succeed")
    lose_events(shop)

    found = compare(shop)

    assert outcomes(found) == {"refund_status_differs": "repaired"}
    assert (found["refund_status_differs"].ours, found["refund_status_differs"].theirs) == (
        "275.50 USD, pending",
        "275.50 USD, succeeded",
    )
    assert [row.status for row in shop.rows(Refund)] == ["succeeded"]


@planting("refund_differs", "refund_missing_at_stripe")
def test_refunds_that_stripe_knows_otherwise_or_not_at_all_are_left_to_an_operator(shop, paid):
    _, payment = paid
    shop.control("refunds", payment_intent=payment.stripe_payment_intent_id, amount=5000)
    shop.deliver()
    with database.transaction():
        (real,) = Refund.select()
        Refund.create(**{**real.__data__, "id": uuid.uuid4(), "stripe_refund_id": "re_invented"})
    edit(Refund, Refund.id == real.id, amount_minor=500)

    assert outcomes(compare(shop)) == {"refund_differs": "left", "refund_missing_at_stripe": "left"}


@planting("dispute_not_booked")
def test_a_dispute_that_nobody_told_of_is_recorded_and_announced(shop, paid):
    session, payment = paid
    shop.control("disputes", charge=payment.stripe_charge_id)
    lose_events(shop)

    found = compare(shop)

    assert outcomes(found) == {"dispute_not_booked": "repaired"}
    assert found["dispute_not_booked"].theirs.startswith("275.50 USD, needs_response, taken")
    assert shop.notifications(session)[-1] == "payment.disputed"
    assert compare(shop) == {}


@planting("dispute_differs", "dispute_missing_at_stripe")
def test_a_dispute_whose_end_nobody_told_of_is_brought_up_to_date(shop, paid):
    _, payment = paid
    dispute = shop.control("disputes", charge=payment.stripe_charge_id)
    shop.deliver()
    shop.control(f"disputes/{dispute['id']}/win")
    lose_events(shop)
    with database.transaction():
        (real,) = Dispute.select()
        Dispute.create(**{**real.__data__, "id": uuid.uuid4(), "stripe_dispute_id": "du_invented"})

    found = compare(shop)

    assert outcomes(found) == {"dispute_differs": "repaired", "dispute_missing_at_stripe": "left"}
    assert [row.status for row in shop.rows(Dispute, Dispute.stripe_dispute_id == dispute["id"])] == ["won"]


@planting("submission_not_booked", "refusal_not_booked")
def test_a_delayed_payment_that_nobody_told_of_is_followed(make_shop):
    shop = make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")
    session = shop.open_session()
    page = shop.checkout_id(session)
    shop.control(f"checkout/{page}/pay", method="us_bank_account")
    lose_events(shop)
    assert outcomes(compare(shop)) == {"submission_not_booked": "repaired"}
    assert shop.session(session.id).status == "processing"
    assert compare(shop) == {}

    shop.control(f"checkout/{page}/settle", paid=False)
    lose_events(shop)
    assert outcomes(compare(shop)) == {"refusal_not_booked": "repaired"}
    assert shop.session(session.id).status == "failed"


@planting("event_parked")
def test_an_event_that_was_set_aside_is_told_with_its_error(shop, paid):
    event = shop.event("charge.succeeded")
    edit(
        StripeEvent,
        StripeEvent.id == event["id"],
        parked_at=clock.now(),
        handled_at=None,
        verdict=None,
        last_error="no",
    )

    found = compare(shop)

    assert outcomes(found) == {"event_parked": "left"}
    assert found["event_parked"].ours.endswith("no")


def test_a_comparison_leaves_nothing_behind_but_its_findings(shop, paid):
    compare(shop)

    assert shop.rows(ReconciliationSeen) == []
    assert shop.ledger()["calls"].get("POST /v1/checkout/sessions/{session}/expire") is None


@planting("charged_twice")
def test_an_auction_that_is_paid_twice_is_told_until_one_payment_is_given_back(shop):
    first = shop.open_session()
    edit(PaymentSession, PaymentSession.id == first.id, status="expired", released_at=clock.now())
    second = shop.open_session(auction_id=str(first.auction_id))
    shop.pay(second)
    shop.deliver()
    shop.pay(first, REFUSES_REFUNDS_LATER)
    shop.deliver()
    shop.control("refunds/settle")
    shop.deliver()

    found = compare(shop)

    assert outcomes(found) == {"charged_twice": "held"}
    assert found["charged_twice"].session_id == first.id
    (extra,) = shop.transactions(first)
    shop.control("refunds", payment_intent=extra.stripe_payment_intent_id)
    shop.deliver()
    assert compare(shop) == {}


@planting("events_out_of_reach")
def test_a_stretch_of_time_that_stripe_has_forgotten_is_told(shop):
    shop.open_session()
    shop.pass_time(days=35)
    shop.sweep()
    shop.run(build("sweeps.stripe_events"))

    found = compare(shop, repairs=False)

    assert found["events_out_of_reach"].outcome == "left"


# Fees and sellers' shares

MAKER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09"


def link(shop):
    """The maker's account at Stripe, with nothing told yet."""
    request = {"maker_id": MAKER, "country": None, "email": None}
    request |= {"return_url": "https://shop.example/back", "refresh_url": "https://shop.example/again"}
    shop.run(messages.link_seller(uuid.uuid4(), "shop", ids.fingerprint("sellers.link", request), request))
    shop.work()


def onboard(shop):
    """The maker tells Stripe everything."""
    shop.control(f"accounts/{shop.ledger()['accounts'][-1]['id']}/onboard")
    shop.deliver()


def sell(shop):
    """A payment of the maker's, with all figures."""
    session = shop.open_session(maker_id=MAKER, platform_fee_minor=2755)
    shop.pay(session)
    shop.deliver()
    shop.control("fees/release")
    shop.deliver()
    shop.run(build("sweeps.sellers"))
    shop.work()
    (payment,) = shop.transactions(session)
    return payment


@pytest.fixture
def split(make_shop):
    """A shop whose payments are passed on by Stripe."""
    shop = make_shop(SELLER_PAYOUTS="collect")
    shop.deaf_to = {"receipts.render"}
    link(shop)
    onboard(shop)
    return shop


@pytest.fixture
def collected(make_shop):
    """A shop that has sent a maker the share of a payment."""
    shop = make_shop(SELLER_PAYOUTS="collect")
    shop.deaf_to = {"receipts.render"}
    link(shop)
    payment = sell(shop)
    onboard(shop)
    shop.run(build("sweeps.sellers"))
    shop.work()
    shop.deliver()
    assert [row.status for row in shop.rows(SellerMovement)] == ["done"]
    return shop, payment


@planting("fee_not_booked", "fee_differs")
@pytest.mark.parametrize(
    ("changes", "code", "ours"),
    [
        ({"stripe_fee_minor": None, "stripe_fee_currency": None}, "fee_not_booked", "no fee"),
        ({"stripe_fee_minor": 1}, "fee_differs", "0.01 USD"),
    ],
)
def test_a_fee_that_nobody_told_of_or_that_was_edited_is_read_again(shop, paid, changes, code, ours):
    shop.control("fees/release")
    shop.deliver()
    edit(Transaction, Transaction.id == paid[1].id, **changes)

    found = compare(shop)

    assert outcomes(found) == {code: "repaired"}
    assert (found[code].ours, found[code].theirs) == (ours, "8.29 USD")
    assert [row.stripe_fee_minor for row in shop.rows(Transaction)] == [829]


@planting("share_differs")
def test_a_share_that_the_books_do_not_have_is_read_again(split):
    payment = sell(split)
    assert compare(split) == {}
    edit(Transaction, Transaction.id == payment.id, transferred_minor=0)

    found = compare(split)

    assert outcomes(found) == {"share_differs": "repaired"}
    assert found["share_differs"].theirs.startswith("275.50 USD passed on, 0.00 USD taken back; fee 27.55 USD")
    assert [row.transferred_minor for row in split.rows(Transaction)] == [27550]


@planting("seller_short")
def test_a_share_that_stayed_with_the_platform_when_a_refund_failed_is_told(split):
    payment = sell(split)
    split.refund(split.session(payment.session_id), amount="100.00")
    split.deliver()
    assert compare(split) == {}
    (refund,) = split.rows(Refund)
    split.control(f"refunds/{refund.stripe_refund_id}/fail")
    split.deliver()

    found = compare(split)

    assert outcomes(found) == {"seller_short": "left"}
    assert (found["seller_short"].ours, found["seller_short"].theirs) == (
        "247.95 USD due",
        "157.95 USD with the seller",
    )


@planting("transfer_differs", "transfer_missing_at_stripe")
def test_transfers_that_stripe_knows_otherwise_or_not_at_all_are_left_to_an_operator(collected):
    shop, _ = collected
    assert compare(shop) == {}
    with database.transaction():
        (real,) = SellerMovement.select()
        invented = {"id": uuid.uuid4(), "number": 9, "idempotency_key": "invented", "stripe_transfer_id": "tr_invented"}
        SellerMovement.create(**{**real.__data__, **invented})
    edit(SellerMovement, SellerMovement.id == real.id, amount_minor=1)

    assert outcomes(compare(shop)) == {"transfer_differs": "left", "transfer_missing_at_stripe": "left"}


@planting("transfer_not_booked")
def test_a_transfer_that_the_books_do_not_have_is_told(collected):
    shop, _ = collected
    with database.transaction():
        SellerMovement.delete().execute()

    assert outcomes(compare(shop)) == {"transfer_not_booked": "left"}


def test_every_way_to_disagree_was_tried():
    assert set(DISCREPANCIES) == PLANTED


def test_what_was_sold_in_the_other_mode_is_not_looked_for(shop, paid):
    payment = paid[1]
    shop.control("refunds", payment_intent=payment.stripe_payment_intent_id, amount=500)
    shop.control("disputes", charge=payment.stripe_charge_id)
    shop.deliver()
    at = clock.now() + timedelta(minutes=1)
    with database.transaction():
        SellerMovement.create(
            id=uuid.uuid4(),
            transaction=payment,
            number=1,
            kind="transfer",
            status="done",
            amount_minor=1,
            currency="USD",
            destination_account="acct_1",
            idempotency_key="a key",
            first_called_at=at,
            stripe_transfer_id="tr_1",
            created_at=clock.now(),
        )
        runs = [
            reconciliations.start("test", livemode, at - timedelta(days=1), at, FIRST_STAGE, at, repairs=False)
            for livemode in (False, True)
        ]
        kinds = ("payments", "pages", "refunds", "disputes", "transfers")
        unseen = [[len(getattr(reconciliations, f"unseen_{kind}")(run, 10)) for kind in kinds] for run in runs]

    assert unseen == [[1] * 5, [0] * 5]
