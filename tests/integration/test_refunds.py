"""Refunds that are made here: within what was paid, once each whatever breaks, in every currency, and told as they really end."""

import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import ids, messages
from paywindow.actors import runtime
from paywindow.checkout import freeze_params
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.models import database as db
from paywindow.models.tables import Operation, Outbox, PaymentSession, Receipt, Refund

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

PENDS, FAILS_LATER = "4000000000007726", "4000000000005126"


def paid(shop: Shop, card: str = "4242424242424242", **changes: Any) -> PaymentSession:
    """A settled session; documents are numbered, not drawn."""
    shop.deaf_to = {"receipts.render"}
    session = shop.open_session(**changes)
    shop.pay(session, card)
    shop.deliver()
    return session


def status(shop: Shop, session: PaymentSession) -> str:
    (row,) = shop.transactions(session)
    return str(row.status)


def notes(shop: Shop) -> list[int]:
    return [row.total_minor for row in shop.rows(Receipt) if row.kind == "credit_note"]


def assert_one_refund(shop: Shop, session: PaymentSession, minor: int = 27550) -> None:
    """Stripe and the books have the same one refund, and the command that asked for it is answered."""
    (at_stripe,) = shop.ledger()["refunds"]
    (row,) = shop.refunds(session)
    assert (at_stripe["amount"], at_stripe["idempotency_key"]) == (minor, str(row.id))
    assert (row.stripe_refund_id, row.status, row.next_try_at) == (at_stripe["id"], "succeeded", None)
    assert not [operation for operation in shop.rows(Operation) if operation.outcome is None]
    assert notes(shop) == [minor]
    assert shop.notifications(session).count("payment.refunded") == 1


def refund_message(session: PaymentSession, operation: uuid.UUID, **changes: Any) -> Any:
    request = {
        "session_id": str(session.id),
        "transaction_id": None,
        "amount": None,
        "reason": "broken in transit",
        "release_auction": False,
        **changes,
    }
    return messages.command("payment.refund", operation, "shop", ids.fingerprint("payment.refund", request), request)


def test_a_full_refund_goes_to_stripe_and_into_the_books(shop: Shop) -> None:
    session = paid(shop)

    outcome = shop.refund(session)
    shop.deliver()

    assert outcome["status"] == 201
    refund = outcome["body"]["refund"]
    assert (refund["amount"], refund["currency"], refund["status"]) == (275.5, "USD", "succeeded")
    assert status(shop, session) == "refunded"
    assert_one_refund(shop, session)
    after = shop.session(session.id)
    assert (after.status, after.released_at) == ("completed", None)
    assert [row["id"] for row in shop.snapshot(session, "buyer")["refunds"]] == [refund["id"]]
    (row,) = shop.refunds(session)
    assert (row.made_by, row.why) == ("service:shop", "broken in transit")


def test_a_payment_can_be_named_by_its_transaction(shop: Shop) -> None:
    session = paid(shop)
    (row,) = shop.transactions(session)

    outcome = shop.refund(transaction_id=str(row.id), amount="100")

    assert outcome["status"] == 201
    assert status(shop, session) == "partially_refunded"


def test_partial_refunds_never_exceed_the_payment_and_the_refusal_says_what_is_left(shop: Shop) -> None:
    session = paid(shop)
    assert shop.refund(session, amount="200.50")["status"] == 201

    too_much = shop.refund(session, amount="75.01")
    assert (too_much["status"], too_much["body"]["code"]) == (409, "refund_exceeds_payment")
    assert (too_much["body"]["left"], too_much["body"]["currency"]) == (75, "USD")
    assert shop.refund(session)["body"]["refund"]["amount"] == 75
    nothing = shop.refund(session)

    assert (nothing["status"], nothing["body"]["code"]) == (409, "already_refunded")
    assert sorted(notes(shop)) == [7500, 20050]
    assert [row["amount"] for row in shop.ledger()["refunds"]] == [20050, 7500]


def test_of_refunds_at_once_no_more_goes_out_than_was_paid(shop: Shop) -> None:
    session = paid(shop)
    operations = [uuid.uuid4() for _ in range(4)]

    shop.together(*(refund_message(session, operation, amount="100") for operation in operations))
    shop.work()

    assert sorted(shop.outcome(operation)["status"] for operation in operations) == [201, 201, 409, 409]
    assert sum(row["amount"] for row in shop.ledger()["refunds"]) == 20000


@pytest.mark.parametrize(
    ("currency", "minor", "share", "refunded", "left"),
    [
        ("JPY", 27550, "5000", 5000, 22550),
        ("KWD", 27550, "5.05", 5050, 22500),
        ("ISK", 2755000, "50", 5000, 2750000),
        ("USD", 27550, "0.01", 1, 27549),
    ],
)
def test_a_partial_refund_is_exact_in_its_currency(
    shop: Shop, currency: str, minor: int, share: str, refunded: int, left: int
) -> None:
    session = paid(shop, currency=currency, amount_minor=minor)

    shop.refund(session, amount=share)
    assert [row["amount"] for row in shop.ledger()["refunds"]] == [refunded]
    shop.refund(session)

    assert [row["amount"] for row in shop.ledger()["refunds"]] == [refunded, left]
    assert status(shop, session) == "refunded"


@pytest.mark.parametrize(
    ("currency", "share"), [("JPY", "50.5"), ("KWD", "5.055"), ("ISK", "50.5"), ("USD", "0.001"), ("USD", "0")]
)
def test_an_amount_that_the_currency_does_not_have_is_refused_by_field_and_changes_nothing(
    shop: Shop, currency: str, share: str
) -> None:
    session = paid(shop, currency=currency, amount_minor=2755000)

    outcome = shop.refund(session, amount=share)

    assert (outcome["status"], outcome["body"]["code"]) == (422, "invalid_request")
    assert [rule["field"] for rule in outcome["body"]["errors"]] == ["amount"]
    assert shop.refunds(session) == []
    assert shop.ledger()["refunds"] == []


def test_what_was_never_paid_cannot_be_refunded(shop: Shop) -> None:
    session = shop.open_session()
    shop.pay(session, "4000000000000002")
    shop.deliver()
    (declined,) = shop.transactions(session)

    for outcome in (shop.refund(session), shop.refund(transaction_id=str(declined.id))):
        assert (outcome["status"], outcome["body"]["code"]) == (409, "nothing_paid")
    for outcome in (shop.refund(transaction_id=str(uuid.uuid4())), shop.refund(session_id=str(uuid.uuid4()))):
        assert (outcome["status"], outcome["body"]["code"]) == (404, "not_found")


def test_a_held_session_has_to_be_resolved_before_anything_is_refunded(shop: Shop) -> None:
    session = shop.open_session(window_minutes=5, late_policy="hold")
    shop.pass_time(minutes=6)
    shop.pay(session)
    shop.deliver()

    outcome = shop.refund(transaction_id=str(shop.transactions(session)[0].id))

    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_held")


# Once, whatever breaks


@pytest.mark.parametrize("kind", ["500_after_work", "timeout_after_work", "500", "refuse_connection", "429"])
def test_a_refund_whose_answer_is_lost_is_made_once(shop: Shop, kind: str) -> None:
    session = paid(shop)
    operation = uuid.uuid4()
    shop.fault(kind, path_prefix="/v1/refunds", times=2)

    with pytest.raises(StripeUnavailable):
        shop.run(refund_message(session, operation))
    shop.queue.messages.clear()
    shop.mend()
    for _ in range(3):
        shop.pass_time(minutes=1)
        shop.sweep()

    assert shop.outcome(operation)["status"] == 201
    shop.deliver()
    assert_one_refund(shop, session)


def test_a_worker_that_dies_between_stripes_answer_and_its_commit_leaves_one_refund(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, operation = paid(shop), uuid.uuid4()
    gateway = runtime.runtime().gateway
    make = gateway.create_refund

    def make_and_die(*arguments: Any) -> dict[str, Any]:
        make(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(gateway, "create_refund", make_and_die)
        shop.run(refund_message(session, operation))
    shop.wipe_queue()
    shop.pass_time(minutes=1)
    shop.sweep()

    assert shop.outcome(operation)["status"] == 201
    assert_one_refund(shop, session)


@pytest.mark.parametrize("order", ["event first", "twice", "reversed"])
def test_events_before_our_own_commit_meet_the_same_row_and_answer_the_command(shop: Shop, order: str) -> None:
    session, operation = paid(shop), uuid.uuid4()
    shop.fault("500_after_work", path_prefix="/v1/refunds", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(refund_message(session, operation))

    events = [event for event in shop.events() if event["type"].startswith(("refund.", "charge.refund"))]
    for event in events[::-1] if order == "reversed" else events:
        shop.deliver_event(event, times=2 if order == "twice" else 1)
    shop.work()

    assert shop.outcome(operation)["status"] == 201
    assert_one_refund(shop, session)
    shop.mend()
    shop.pass_time(minutes=2)
    shop.sweep()
    assert_one_refund(shop, session)


def test_an_unknown_outcome_is_looked_up_once_stripe_may_have_forgotten_the_key(shop: Shop) -> None:
    session, operation = paid(shop), uuid.uuid4()
    shop.fault("timeout_after_work", path_prefix="/v1/refunds", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(refund_message(session, operation, amount="10"))
    shop.mend()

    shop.pass_time(hours=25)
    shop.sweep()

    assert shop.outcome(operation)["status"] == 201
    assert_one_refund(shop, session, 1000)


def test_a_refund_that_never_arrived_is_not_posted_again_when_its_key_may_be_forgotten(shop: Shop) -> None:
    session, operation = paid(shop), uuid.uuid4()
    shop.fault("refuse_connection", path_prefix="/v1/refunds", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(refund_message(session, operation, amount="10"))
    shop.mend()

    shop.pass_time(hours=25)
    shop.sweep()

    assert (shop.outcome(operation)["status"], shop.ledger()["refunds"]) == (422, [])
    assert [row.status for row in shop.refunds(session)] == ["failed"]
    assert shop.refund(session)["body"]["refund"]["amount"] == 275.5


def test_a_refund_that_no_worker_began_is_made_however_late(shop: Shop) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=6)
    shop.pay(session)
    shop.deaf_to = {"refunds.make"}
    shop.deliver()
    shop.deaf_to = set()

    shop.pass_time(hours=30)
    shop.sweep()

    assert [row.status for row in shop.refunds(session)] == ["succeeded"]
    assert status(shop, session) == "refunded"


def test_the_same_key_is_the_same_refund_and_another_body_is_refused(shop: Shop) -> None:
    session = paid(shop)

    first, again = shop.refund(session, "key", amount="10"), shop.refund(session, "key", amount="10")
    operation = ids.operation_id("shop", "key")
    shop.run(refund_message(session, operation, amount="20"))

    assert first == again
    assert len(shop.ledger()["refunds"]) == 1


def test_the_dashboard_may_be_faster_and_the_books_say_so(shop: Shop) -> None:
    session = paid(shop)
    (row,) = shop.transactions(session)
    shop.control("refunds", payment_intent=row.stripe_payment_intent_id)

    outcome = shop.refund(session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "already_refunded")
    assert status(shop, session) == "refunded"
    assert sorted(row.status for row in shop.refunds(session)) == ["failed", "succeeded"]
    shop.deliver()
    assert notes(shop) == [27550]


def test_when_the_dashboard_is_faster_than_a_refund_under_way_nothing_is_left_rather_than_less(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = paid(shop)
    with monkeypatch.context() as patched:
        patched.setattr(runtime.runtime().gateway, "create_refund", unreachable)
        with pytest.raises(StripeUnavailable):
            shop.refund(session)
    (row,) = shop.transactions(session)
    shop.control("refunds", payment_intent=row.stripe_payment_intent_id, amount=10000)
    shop.deliver()

    outcome = shop.refund(session)

    assert (outcome["status"], outcome["body"]["code"], outcome["body"]["left"]) == (409, "already_refunded", 0)


def test_a_refund_that_names_a_row_of_ours_but_another_amount_is_one_of_its_own(shop: Shop) -> None:
    session, operation = paid(shop), uuid.uuid4()
    shop.fault("refuse_connection", path_prefix="/v1/refunds", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(refund_message(session, operation, amount="10"))
    (ours,) = shop.refunds(session)
    (row,) = shop.transactions(session)
    shop.control(
        "refunds",
        payment_intent=row.stripe_payment_intent_id,
        amount=500,
        metadata={"refund_id": str(ours.id)},
    )

    shop.deliver()

    assert sorted((row.amount_minor, row.status) for row in shop.refunds(session)) == [
        (500, "succeeded"),
        (1000, "claimed"),
    ]


# Pending, failing


def test_a_pending_refund_counts_and_gets_its_credit_note_only_when_it_went_through(shop: Shop) -> None:
    session = paid(shop, PENDS)

    outcome = shop.refund(session)
    shop.deliver()
    assert outcome["body"]["refund"]["status"] == "pending"
    assert (status(shop, session), notes(shop)) == ("succeeded", [])
    assert shop.refund(session)["body"]["code"] == "already_refunded"
    shop.control("refunds/settle")
    shop.deliver()

    assert (status(shop, session), notes(shop)) == ("refunded", [27550])


def test_a_refund_that_fails_a_month_later_makes_the_payment_succeeded_again(shop: Shop) -> None:
    session = paid(shop, FAILS_LATER)
    shop.refund(session)
    shop.deliver()
    assert status(shop, session) == "refunded"

    shop.pass_time(days=30)
    shop.control("refunds/settle")
    shop.deliver(shuffled_by=random.Random(1))

    assert status(shop, session) == "succeeded"
    assert shop.session(session.id).hold_reason is None
    assert shop.refund(session, amount="1")["status"] == 201


def test_a_refund_that_failed_before_its_credit_note_was_numbered_gets_none(shop: Shop) -> None:
    session = paid(shop, FAILS_LATER)
    shop.deaf_to |= {"receipts.issue_credit_note"}
    shop.refund(session, amount="100")
    shop.deliver()
    shop.control("refunds/settle")
    shop.deliver()
    (row,) = shop.refunds(session)
    assert row.status == "failed"

    shop.deaf_to -= {"receipts.issue_credit_note"}
    shop.pass_time(minutes=1)
    shop.sweep()

    assert notes(shop) == []
    assert [each.actor for each in shop.rows(Outbox) if each.actor == "receipts.issue_credit_note"] == []


def test_a_canceled_refund_leaves_the_payment_as_it_was(shop: Shop) -> None:
    session = paid(shop, PENDS)
    shop.refund(session)
    (row,) = shop.refunds(session)

    shop.control(f"refunds/{row.stripe_refund_id}/cancel")
    shop.deliver()

    assert [row.status for row in shop.refunds(session)] == ["canceled"]
    assert (status(shop, session), notes(shop)) == ("succeeded", [])


def test_money_that_was_given_back_by_itself_and_comes_back_is_held(shop: Shop) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=6)
    shop.pay(session, FAILS_LATER)
    shop.deliver()
    shop.sweep()
    assert status(shop, session) == "refunded"

    shop.control("refunds/settle")
    shop.deliver()

    assert (status(shop, session), shop.session(session.id).hold_reason) == ("succeeded", "refund_failed")
    shop.resolve(session, "refund")
    assert [row.status for row in shop.refunds(session)] == ["failed", "succeeded"]


# Releasing the auction


def test_a_full_refund_sets_the_auction_free_when_asked(shop: Shop) -> None:
    session = paid(shop)

    shop.refund(session, amount="100")
    shop.refund(session, release_auction=True)

    after = shop.session(session.id)
    assert (after.status, after.released_at is None) == ("completed", False)
    assert shop.notifications(session).count("auction.released") == 1
    assert shop.create(shop.request(auction_id=str(session.auction_id)))["status"] == 201


def test_the_auction_is_free_only_when_the_money_really_went_back(shop: Shop) -> None:
    session = paid(shop, PENDS)

    shop.refund(session, release_auction=True)
    assert shop.session(session.id).released_at is None
    shop.control("refunds/settle")
    shop.deliver()

    assert shop.session(session.id).released_at is not None


def test_a_partial_refund_cannot_set_the_auction_free(shop: Shop) -> None:
    session = paid(shop)

    outcome = shop.refund(session, amount="100", release_auction=True)

    assert (outcome["status"], outcome["body"]["errors"][0]["field"]) == (422, "releaseAuction")
    assert shop.ledger()["refunds"] == []


def test_a_refund_that_fails_after_the_auction_was_set_free_is_held(shop: Shop) -> None:
    session = paid(shop, FAILS_LATER)
    shop.refund(session, release_auction=True)
    shop.deliver()

    shop.control("refunds/settle")
    shop.deliver()

    assert shop.session(session.id).hold_reason == "refund_failed"


@pytest.mark.parametrize("taken", [False, True])
def test_money_that_came_back_is_kept_only_if_the_auction_is_still_free(shop: Shop, taken: bool) -> None:
    session = paid(shop, FAILS_LATER)
    shop.refund(session, release_auction=True)
    shop.deliver()
    following = paid(shop, auction_id=str(session.auction_id)) if taken else None
    shop.control("refunds/settle")
    shop.deliver()

    outcome = shop.resolve(session, "accept")

    if following is None:
        assert outcome["status"] == 200
        assert shop.session(session.id).released_at is None
        again = shop.create(shop.request(auction_id=str(session.auction_id)))
        assert (again["status"], again["body"]["code"]) == (409, "auction_taken")
    else:
        assert (outcome["status"], outcome["body"]["code"]) == (409, "auction_taken")
        assert outcome["body"]["sessionId"] == str(following.id)
        assert shop.session(session.id).hold_reason == "refund_failed"
        assert shop.resolve(session, "refund")["status"] == 200


# What Stripe will not do now


def refuses(code: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise StripeRefused("Stripe says no", code=code, status=400)

    return refuse


def unreachable(*_: Any) -> Any:
    raise StripeUnavailable("nobody answers")


@pytest.mark.parametrize("code", ["charge_disputed", "balance_insufficient"])
@pytest.mark.parametrize("decision", ["accept", "refund"])
def test_a_refund_that_is_blocked_is_held_for_an_operator(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, code: str, decision: str
) -> None:
    session = paid(shop)
    with monkeypatch.context() as patched:
        patched.setattr(runtime.runtime().gateway, "create_refund", refuses(code))
        outcome = shop.refund(session, amount="100")

    assert (outcome["status"], outcome["body"]["code"], outcome["body"]["stripeCode"]) == (409, "refund_blocked", code)
    assert shop.session(session.id).hold_reason == "refund_blocked"
    assert "payment.held" in shop.notifications(session)
    assert [row.status for row in shop.refunds(session)] == ["held"]

    assert shop.resolve(session, decision)["status"] == 200

    after = shop.session(session.id)
    assert (after.status, after.hold_reason) == ("completed", None)
    expected = ["canceled"] if decision == "accept" else ["failed", "succeeded"]
    assert [row.status for row in shop.refunds(session)] == expected
    assert [row["amount"] for row in shop.ledger()["refunds"]] == ([] if decision == "accept" else [10000])


@pytest.mark.parametrize("elsewhere", [10000, 27550])
def test_a_blocked_refund_is_tried_again_for_what_is_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, elsewhere: int
) -> None:
    session = paid(shop)
    with monkeypatch.context() as patched:
        patched.setattr(runtime.runtime().gateway, "create_refund", refuses("balance_insufficient"))
        shop.refund(session)
    (row,) = shop.transactions(session)
    shop.control("refunds", payment_intent=row.stripe_payment_intent_id, amount=elsewhere)
    shop.deliver()

    assert shop.resolve(session, "refund")["status"] == 200
    shop.deliver()

    assert sum(each["amount"] for each in shop.ledger()["refunds"]) == 27550
    assert status(shop, session) == "refunded"
    assert {each.status for each in shop.refunds(session)} == {"failed", "succeeded"}


def test_a_disputed_payment_cannot_be_refunded_and_nothing_is_held_for_asking(shop: Shop) -> None:
    session = paid(shop)
    shop.control("disputes", charge=shop.ledger()["charges"][0]["id"])
    shop.deliver()

    outcome = shop.refund(session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "payment_disputed")
    assert outcome["body"]["dispute"]["status"] == "needs_response"
    assert (shop.refunds(session), shop.session(session.id).hold_reason) == ([], None)


def test_a_dispute_that_only_stripe_knows_of_holds_the_refund(shop: Shop) -> None:
    session = paid(shop)
    shop.control("disputes", charge=shop.ledger()["charges"][0]["id"])

    outcome = shop.refund(session)

    assert (outcome["body"]["code"], outcome["body"]["stripeCode"]) == ("refund_blocked", "charge_disputed")
    assert [row.status for row in shop.refunds(session)] == ["held"]
    assert shop.session(session.id).hold_reason == "refund_blocked"


def test_an_inquiry_may_be_ended_by_a_refund(shop: Shop) -> None:
    session = paid(shop, "4000000000001976")

    assert shop.refund(session)["status"] == 201


def test_a_permanent_refusal_fails_the_refund_with_stripes_code(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = paid(shop)
    monkeypatch.setattr(runtime.runtime().gateway, "create_refund", refuses("refund_disputed_payment"))

    outcome = shop.refund(session)

    assert (outcome["status"], outcome["body"]["stripeCode"]) == (422, "refund_disputed_payment")
    (row,) = shop.refunds(session)
    assert (row.status, row.failure_reason) == ("failed", "refund_disputed_payment")
    assert (status(shop, session), shop.session(session.id).hold_reason) == ("succeeded", None)


def test_late_money_that_stripe_will_not_give_back_is_held(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=6)
    shop.pay(session)
    monkeypatch.setattr(runtime.runtime().gateway, "create_refund", refuses("charge_expired_for_refund"))

    shop.deliver()

    assert shop.session(session.id).hold_reason == "refund_failed"


def test_the_sweep_takes_due_refunds_by_their_index_and_each_once(shop: Shop) -> None:
    session = paid(shop)
    (row,) = shop.transactions(session)
    with db.transaction():
        for number in range(500):
            Refund.create(
                id=uuid.uuid4(),
                transaction=row.id,
                stripe_refund_id=f"re_{number}",
                amount_minor=1,
                currency="USD",
                status="succeeded",
                created_at=row.created_at,
                updated_at=row.created_at,
            )
        db.database.execute_sql("ANALYZE refunds")
        plan = db.database.execute_sql(
            "EXPLAIN SELECT id FROM refunds WHERE status = 'claimed' AND next_try_at <= %s ORDER BY next_try_at LIMIT 10",
            (row.created_at + timedelta(days=1),),
        ).fetchall()
    assert "refunds_due" in str(plan)


def test_a_refund_of_a_destination_charge_calls_the_sellers_share_and_the_fee_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe = runtime.runtime().gateway._client
    account = stripe.v1.accounts.create(
        {
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
        },
        {"idempotency_key": str(uuid.uuid4())},
    )
    shop.control(f"accounts/{account.id}/onboard")

    def split(**values: Any) -> dict[str, Any]:
        params = freeze_params(**values)
        share = {"transfer_data": {"destination": account.id}, "application_fee_amount": 1500}
        return {**params, "payment_intent_data": {**params["payment_intent_data"], **share}}

    monkeypatch.setattr("paywindow.actors.pages.freeze_params", split)
    session = paid(shop)

    assert shop.refund(session, amount="100")["status"] == 201
    assert shop.refund(session)["status"] == 201

    (transfer,) = stripe.v1.transfers.list({"destination": account.id}).data
    (fee,) = [row["amount_refunded"] for row in shop.ledger()["application_fees"]]
    assert (transfer.amount, transfer.amount_reversed, fee) == (27550, 27550, 1500)
