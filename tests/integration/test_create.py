"""Opening a payment session: one session an auction, one page a session, whatever Stripe and the network do."""

import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, ids, jsons
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.messages import build, command
from paywindow.models import attempts
from paywindow.models import database as db
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.published import conflict_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

PAGES = {"method": "POST", "path_prefix": "/v1/checkout/sessions"}


def test_a_create_opens_one_page_with_its_metadata_on_both_objects(shop: Shop) -> None:
    request = shop.request()

    outcome = shop.create(request, key="order-1")

    session = shop.session(outcome["body"]["paymentSession"]["id"])
    (page,) = shop.ledger()["sessions"]
    expected = {
        "payment_session_id": str(session.id),
        "attempt": "1",
        "auction_id": request.auction_id,
        "buyer_id": request.buyer_id,
    }
    assert outcome["status"] == 201
    assert page["metadata"] == expected
    assert (page["amount_total"], page["currency"]) == (27550, "usd")
    assert page["idempotency_key"] == ids.checkout_key(session.id, 1)
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]
    shop.pay(session)
    (intent,) = shop.ledger()["payment_intents"]
    assert intent["metadata"] == expected


def test_the_window_ends_when_stripes_page_does(shop: Shop) -> None:
    session = shop.open_session()

    (page,) = shop.ledger()["sessions"]
    assert session.expires_at.timestamp() == page["expires_at"]
    assert page["expires_at"] - page["created"] == 24 * 3600


def test_a_short_window_ends_its_page(shop: Shop) -> None:
    session = shop.open_session(window_minutes=120)

    (page,) = shop.ledger()["sessions"]
    assert page["expires_at"] == int(session.expires_at.timestamp())
    assert session.expires_at - session.created_at == timedelta(minutes=120)


def test_fifty_creates_with_one_key_at_once_are_one_operation(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="50")
    message = shop.create_message(shop.request(), key="order-1")

    shop.together(*[message] * 50)
    shop.work()

    (operation,) = shop.rows(Operation)
    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert shop.outcome(operation.id)["status"] == 201
    assert page["id"] == shop.checkout_id(session)


def test_fifty_creates_without_a_key_at_once_are_one_201_and_forty_nine_200s(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="50")
    request = shop.request()

    shop.together(*[shop.create_message(request) for _ in range(50)])
    shop.work()

    outcomes = [shop.outcome(row.id) for row in shop.rows(Operation)]
    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert sorted(outcome["status"] for outcome in outcomes) == [200] * 49 + [201]
    assert {outcome["body"]["paymentSession"]["id"] for outcome in outcomes} == {str(session.id)}
    assert {outcome["body"]["paymentSession"]["stripeCheckoutUrl"] for outcome in outcomes} == {page["url"]}


def test_a_create_for_an_open_session_gets_that_session(shop: Shop) -> None:
    request = shop.request()
    first, second = shop.create(request), shop.create(request)

    assert (first["status"], second["status"]) == (201, 200)
    assert first["body"]["payUrl"] == second["body"]["payUrl"]
    assert len(shop.ledger()["sessions"]) == 1


@pytest.mark.parametrize(
    "other",
    [{"amount_minor": 27551}, {"currency": "EUR"}, {"buyer_id": str(uuid.uuid4())}],
    ids=lambda other: next(iter(other)),
)
def test_another_buyer_amount_or_currency_is_told_that_the_auction_is_taken(shop: Shop, other: dict[str, Any]) -> None:
    session = shop.open_session()

    outcome = shop.create(shop.request(**{**_same(session), **other}))

    assert (outcome["status"], outcome["body"]["code"]) == (409, "auction_taken")
    assert outcome["body"]["sessionId"] == str(session.id)
    assert len(shop.ledger()["sessions"]) == 1


def _same(session: PaymentSession) -> dict[str, Any]:
    return {"auction_id": str(session.auction_id), "buyer_id": str(session.buyer_id)}


def test_a_key_reused_with_another_request_is_refused_and_the_first_outcome_stays(shop: Shop) -> None:
    request = shop.request()
    first = shop.create(request, key="order-1")
    other = shop.create_message(shop.request(), key="order-1")

    shop.run(other)

    refusal = jsons.loads(
        shop.state.get(conflict_key(uuid.UUID(other.kwargs["operation_id"]), other.kwargs["fingerprint"]))
    )
    assert (refusal["status"], refusal["body"]["code"]) == (409, "idempotency_key_reused")
    assert shop.outcome(ids.operation_id("shop", "order-1")) == first
    assert len(shop.rows(PaymentSession)) == len(shop.ledger()["sessions"]) == 1


def test_a_repeated_key_is_answered_again_after_redis_was_wiped(shop: Shop) -> None:
    request = shop.request()
    first = shop.create(request, key="order-1")
    shop.wipe_queue()

    assert shop.create(request, key="order-1") == first


def test_what_stripe_refuses_for_good_is_told_and_the_auction_is_free_again(shop: Shop) -> None:
    request = shop.request(amount_minor=1)

    outcome = shop.create(request)

    (session,) = shop.rows(PaymentSession)
    assert (outcome["status"], outcome["body"]["code"]) == (422, "stripe_refused")
    assert outcome["body"]["stripeCode"] == "amount_too_small"
    assert (session.status, session.failure_code) == ("failed", "amount_too_small")
    assert session.released_at is not None
    assert shop.attempt(session).status == "refused"
    assert shop.notifications(session) == ["payment.failed", "auction.released"]
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None
    assert shop.create(shop.request(**_same(session)))["status"] == 201


FAULTS = [
    {"kind": "500", "times": 2},
    {"kind": "refuse_connection", "times": 2},
    {"kind": "429", "times": 2},
    {"kind": "429", "times": 2, "code": "lock_timeout"},
    {"kind": "timeout_after_work", "times": 2},
    {"kind": "500_after_work"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']}-{fault.get('code', '')}")
@pytest.mark.parametrize("by", ["retry", "sweep"])
def test_an_unknown_outcome_is_asked_again_with_the_same_key_and_leaves_one_page(
    shop: Shop, fault: dict[str, Any], by: str
) -> None:
    shop.fault(**PAGES, **fault)
    message = shop.create_message(shop.request())
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (session,) = shop.rows(PaymentSession)
    postponed = shop.attempt(session)
    assert (postponed.status, postponed.tries) == ("claimed", 1)
    assert postponed.next_try_at is not None
    assert postponed.last_error

    for _ in range(3):
        if by == "sweep":
            shop.pass_time(minutes=5)
            shop.sweep()
            continue
        with suppress(StripeUnavailable):
            shop.run(message)
            shop.work()

    (page,) = shop.ledger()["sessions"]
    assert shop.checkout_id(session) == page["id"]
    assert page["idempotency_key"] == ids.checkout_key(session.id, 1)
    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["status"] == 201


def test_the_parameters_are_replayed_byte_for_byte(shop: Shop) -> None:
    shop.fault("timeout_after_work", times=2, **PAGES)
    message = shop.create_message(shop.request(window_minutes=120))
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (attempt,) = shop.rows(CheckoutAttempt)
    shop.pass_time(minutes=10)

    shop.sweep()

    (after,) = shop.rows(CheckoutAttempt)
    assert after.params == attempt.params
    assert after.status == "open"
    assert sum(shop.ledger()["replays"].values()) >= 1


def test_waits_double_from_try_to_try_with_a_quarter_of_jitter(shop: Shop) -> None:
    shop.fault("refuse_connection", times=2, **PAGES)
    with pytest.raises(StripeUnavailable):
        shop.run(shop.create_message(shop.request()))
    (attempt,) = shop.rows(CheckoutAttempt)
    waits = [(attempt.next_try_at - clock.now()).total_seconds()]
    for _ in range(8):
        at = clock.now()
        with db.transaction():
            attempts.postpone(attempt, "still down", at)
        (attempt,) = shop.rows(CheckoutAttempt)
        waits.append((attempt.next_try_at - at).total_seconds())

    for wait, about in zip(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900], strict=True):
        assert about * 0.75 - 1 <= wait <= about * 1.25


def test_after_23_hours_the_page_is_looked_up_and_not_posted_again(shop: Shop) -> None:
    shop.fault("timeout_after_work", times=2, **PAGES)
    message = shop.create_message(shop.request())
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    posts = shop.ledger()["calls"]["POST /v1/checkout/sessions"]
    shop.pass_time(hours=23, minutes=1)

    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert shop.checkout_id(session) == page["id"]
    assert shop.ledger()["calls"]["POST /v1/checkout/sessions"] == posts


def _call_that_never_arrived(shop: Shop) -> uuid.UUID:
    """A create whose call to Stripe was cut off on its way; its operation."""
    shop.fault("refuse_connection", times=2, **PAGES)
    message = shop.create_message(shop.request())
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    return uuid.UUID(message.kwargs["operation_id"])


def test_a_call_that_never_arrived_is_made_anew_after_23_hours(shop: Shop) -> None:
    operation = _call_that_never_arrived(shop)
    shop.pass_time(hours=23, minutes=1)

    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert (session.status, session.attempt_number, session.released_at) == ("pending", 2, None)
    assert shop.checkout_id(session) == page["id"]
    assert shop.outcome(operation)["status"] == 201


def test_a_call_that_never_arrived_in_the_whole_window_lets_it_close_as_any_other(shop: Shop) -> None:
    operation = _call_that_never_arrived(shop)
    shop.pass_time(hours=25)

    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    assert (session.status, session.released_at is not None) == ("expired", True)
    assert shop.outcome(operation)["body"]["code"] == "session_expired"
    assert shop.ledger()["sessions"] == []


def test_a_stored_500_does_not_hold_an_auction_beyond_its_window(shop: Shop) -> None:
    message = shop.create_message(shop.request(window_minutes=31))
    shop.fault("500", times=1000, **PAGES)  # Stripe repeats it under its key for a day
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.pass_time(minutes=32)

    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    assert (session.status, session.released_at is not None) == ("expired", True)
    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["body"]["code"] == "session_expired"
    assert shop.ledger()["sessions"] == []


def test_a_page_that_was_opened_and_not_told_of_is_found_when_its_time_is_over(shop: Shop) -> None:
    message = shop.create_message(shop.request(window_minutes=31))
    shop.fault("timeout_after_work", times=1, **PAGES)
    shop.fault("500", times=1000, **PAGES)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (page,) = shop.ledger()["sessions"]
    shop.control(f"checkout/{page['id']}/pay", card="4242424242424242")
    shop.pass_time(minutes=32)

    shop.sweep()
    shop.deliver()

    (session,) = shop.rows(PaymentSession)
    assert session.status == "completed"


def test_looking_up_a_page_passes_over_what_other_programs_opened(shop: Shop) -> None:
    shop.fault("timeout_after_work", times=2, **PAGES)
    message = shop.create_message(shop.request())
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.open_page_elsewhere(metadata={"attempt": "first", "payment_session_id": "ours, not yours"})
    shop.pass_time(hours=23, minutes=1)

    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    assert shop.checkout_id(session) == shop.ledger()["sessions"][0]["id"]


def test_a_worker_that_died_after_stripe_answered_leaves_one_page(shop: Shop) -> None:
    message = shop.create_message(shop.request())
    shop.fault("hold_reply", **PAGES)
    dying = threading.Thread(target=shop.run, args=(message,))
    dying.start()
    shop.await_hold()
    shop.pass_time(minutes=2)

    shop.sweep()
    shop.control("holds/release")
    dying.join()
    shop.work()

    (session,) = shop.rows(PaymentSession)
    (page,) = shop.ledger()["sessions"]
    assert shop.checkout_id(session) == page["id"]
    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["status"] == 201


@pytest.mark.parametrize("kind", ["hold_request", "hold_reply"])
def test_a_page_that_comes_for_a_canceled_session_is_closed_at_stripe(shop: Shop, kind: str) -> None:
    message = shop.create_message(shop.request())
    shop.fault(kind, **PAGES)
    opening = threading.Thread(target=shop.run, args=(message,))
    opening.start()
    shop.await_hold()
    (session,) = shop.rows(PaymentSession)
    assert shop.cancel(session)["status"] == 200

    shop.control("holds/release")
    opening.join()
    shop.work()

    (page,) = shop.ledger()["sessions"]
    assert page["status"] == "expired"
    assert shop.session(session.id).status == "canceled"
    assert shop.attempt(session).status == "closed"
    outcome = shop.outcome(uuid.UUID(message.kwargs["operation_id"]))
    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_closed")


def test_a_create_that_joins_while_the_page_is_being_opened_is_answered_with_it(shop: Shop) -> None:
    request = shop.request()
    first, second = shop.create_message(request), shop.create_message(request)
    shop.fault("hold_reply", **PAGES)
    opening = threading.Thread(target=shop.run, args=(first,))
    opening.start()
    shop.await_hold()
    shop.run(second)
    assert shop.state.get(f"pw:operation:{second.kwargs['operation_id']}") is None

    shop.control("holds/release")
    opening.join()
    shop.work()

    outcomes = [shop.outcome(uuid.UUID(message.kwargs["operation_id"])) for message in (first, second)]
    assert [outcome["status"] for outcome in outcomes] == [201, 200]


def test_a_late_answer_never_opens_a_second_page_for_the_next_buyer(shop: Shop) -> None:
    message = shop.create_message(shop.request())
    shop.fault("hold_reply", **PAGES)
    opening = threading.Thread(target=shop.run, args=(message,))
    opening.start()
    shop.await_hold()
    (session,) = shop.rows(PaymentSession)
    shop.cancel(session)
    following = shop.open_session(auction_id=str(session.auction_id))

    shop.control("holds/release")
    opening.join()
    shop.work()

    assert [page["status"] for page in shop.ledger()["sessions"]] == ["expired", "open"]
    assert shop.checkout_id(following) == shop.ledger()["sessions"][1]["id"]


def test_a_message_for_an_attempt_that_is_past_being_opened_does_nothing(shop: Shop) -> None:
    attempt = shop.attempt(shop.open_session())
    calls = shop.ledger()["calls"]

    shop.run(build("checkout.open", attempt_id=str(attempt.id)))

    assert shop.ledger()["calls"] == calls


def test_the_frozen_parameters_are_on_record_before_stripe_is_asked(shop: Shop) -> None:
    message = shop.create_message(shop.request())
    shop.fault("hold_request", **PAGES)
    opening = threading.Thread(target=shop.run, args=(message,))
    opening.start()
    shop.await_hold()

    (attempt,) = shop.rows(CheckoutAttempt)
    with db.transaction():  # no lock is held across the call
        db.database.execute_sql("SELECT * FROM payment_sessions FOR UPDATE NOWAIT")
    shop.control("holds/release")
    opening.join()

    assert json.loads(attempt.params)["metadata"]["attempt"] == "1"
    assert attempt.first_called_at <= clock.now()


def test_parameters_that_grew_too_old_in_an_outage_cost_nobody_the_auction(shop: Shop) -> None:
    message = shop.create_message(shop.request(window_minutes=31))
    shop.fault("refuse_connection", times=1000)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.mend()

    shop.pass_time(minutes=2)
    shop.sweep()

    (session,) = shop.rows(PaymentSession)
    assert (session.status, session.released_at) == ("pending", None)
    assert [(row.number, row.kind, row.status) for row in shop.rows(CheckoutAttempt)] == [
        (1, "first", "refused"),
        (2, "roll", "open"),
    ]
    (page,) = shop.ledger()["sessions"]
    outcome = shop.outcome(uuid.UUID(message.kwargs["operation_id"]))
    assert outcome["status"] == 201
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]
    shop.pass_time(minutes=29)
    shop.sweep()
    assert shop.session(session.id).status == "expired"
    assert shop.ledger()["sessions"][0]["status"] == "expired"


def test_an_expiry_that_stripe_refuses_at_once_is_not_tried_again_and_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise StripeRefused("Invalid expires_at", code="parameter_invalid", param="expires_at", status=400)

    monkeypatch.setattr(runtime().gateway, "create_checkout", refuse)

    outcome = shop.create(shop.request(window_minutes=31))

    assert (outcome["status"], outcome["body"]["param"]) == (422, "expires_at")
    assert [row.status for row in shop.rows(CheckoutAttempt)] == ["refused"]


@pytest.mark.parametrize("hours", [0, 23], ids=["after two tries", "after 23 hours"])
def test_a_refusal_to_list_pages_is_not_taken_for_the_absence_of_a_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    shop.fault("timeout_after_work", times=2, **PAGES)
    message = shop.create_message(shop.request())
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (attempt,) = shop.rows(CheckoutAttempt)
    with db.transaction():
        CheckoutAttempt.update(tries=2).where(CheckoutAttempt.id == attempt.id).execute()

    def refuse(*_: Any) -> Any:
        raise StripeRefused("This key may not list Checkout Sessions.", status=403)

    with monkeypatch.context() as patch:
        patch.setattr(runtime().gateway, "checkouts_since", refuse)
        shop.pass_time(hours=hours, minutes=1)
        shop.sweep()
    (session,) = shop.rows(PaymentSession)
    assert (session.status, session.released_at, shop.attempt(session).status) == ("pending", None, "claimed")

    shop.pass_time(minutes=20)
    shop.sweep()

    (page,) = shop.ledger()["sessions"]
    assert shop.checkout_id(session) == page["id"]
    assert shop.outcome(uuid.UUID(message.kwargs["operation_id"]))["status"] == 201


def test_going_on_with_an_attempt_in_an_outage_is_left_to_the_sweep(shop: Shop) -> None:
    shop.fault("refuse_connection", times=1000)
    with pytest.raises(StripeUnavailable):
        shop.run(shop.create_message(shop.request()))
    (attempt,) = shop.rows(CheckoutAttempt)

    shop.run(build("checkout.open", attempt_id=str(attempt.id)))

    (after,) = shop.rows(CheckoutAttempt)
    assert (after.status, after.tries) == ("claimed", attempt.tries + 1)
    shop.mend()
    shop.pass_time(minutes=1)
    shop.sweep()
    (after,) = shop.rows(CheckoutAttempt)
    assert after.status == "open"


@pytest.mark.parametrize("replaced_by", ["a roll", "a retry of the timer", "a retry of the buyer"])
def test_a_create_that_joins_while_the_page_is_being_replaced_finds_a_session_that_was_there(
    shop: Shop, replaced_by: str
) -> None:
    request = shop.request(window_minutes=3 * 1440)
    first = shop.create(request)
    session = shop.session(first["body"]["paymentSession"]["id"])
    if replaced_by != "a roll":
        shop.pay(session, "4000000000000002")
        shop.deliver()
    if replaced_by == "a retry of the buyer":
        replacing = command("payment.retry", uuid.uuid4(), "shop", "f" * 64, {"session_id": str(session.id)})
    else:
        shop.pass_time(hours=24, seconds=1)
        replacing = build("window.due", session_id=str(session.id))
    shop.fault("hold_reply", method="POST", path_prefix="/v1/checkout/sessions", path_suffix="/sessions")
    opening = threading.Thread(target=shop.run, args=(replacing,))
    opening.start()
    shop.await_hold()
    joining = shop.create_message(request)
    shop.run(joining)

    shop.control("holds/release")
    opening.join()
    shop.work()

    outcome = shop.outcome(uuid.UUID(joining.kwargs["operation_id"]))
    assert (first["status"], outcome["status"]) == (201, 200)
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == shop.ledger()["sessions"][-1]["url"]
