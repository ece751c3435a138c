"""Webhooks that were lost come back by themselves: Stripe's list of events is read from where it was left."""

import json
import logging
from datetime import timedelta

import pytest

from paywindow import clock
from paywindow.actors import event_walk
from paywindow.errors import StripeRefused
from paywindow.messages import build
from paywindow.models import event_walks
from paywindow.models.tables import EventWalk, PaymentSession, Receipt, StripeEvent

DECLINED = "4000000000000002"


@pytest.fixture
def shop(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="10000")
    shop.deaf_to = {"receipts.render"}
    return shop


def walk(shop, **later):
    """The scheduler's tick, some time later, and what follows from it."""
    shop.pass_time(**(later or {"minutes": 2}))
    shop.run(build("sweeps.stripe_events"))
    shop.work()


def cursor(shop):
    (row,) = shop.rows(EventWalk)
    return row


def events(shop):
    return {row.id: row for row in shop.rows(StripeEvent)}


def test_a_purchase_of_which_no_webhook_came_is_settled_by_the_walk_alone(shop):
    session = shop.open_session()
    shop.pay(session, DECLINED)
    shop.pay(session)

    walk(shop)

    assert shop.session(session.id).status == "completed"
    assert len(shop.rows(Receipt)) == 1
    assert sorted(row.status for row in shop.transactions(session)) == ["failed", "succeeded"]


@pytest.mark.parametrize("lost_after", [0, 3, 8, 20])
def test_a_whole_course_heals_whenever_webhooks_stop_coming(shop, lost_after):
    """Two sessions declined, paid, refunded and left alone; from some event on nothing is delivered any more."""
    first, second = shop.open_session(), shop.open_session(window_minutes=60)
    told = set()

    def deliver():
        for event in shop.events():
            if event["id"] not in told and len(told) < lost_after:
                told.add(event["id"])
                shop.deliver_event(event)
        shop.work()

    shop.pay(first, DECLINED)
    deliver()
    shop.pay(first)
    deliver()
    walk(shop)
    (payment,) = [row for row in shop.transactions(first) if row.settled_at]
    shop.control("refunds", payment_intent=payment.stripe_payment_intent_id)
    deliver()
    walk(shop, hours=2)
    shop.sweep()
    walk(shop)

    assert shop.session(first.id).status == "completed"
    assert sorted(row.status for row in shop.transactions(first)) == ["failed", "refunded"]
    assert sorted(row.kind for row in shop.rows(Receipt)) == ["credit_note", "receipt"]
    assert shop.session(second.id).status == "expired"
    listed = {event["id"] for event in event_walk.wanted(shop.events())}
    assert listed <= set(events(shop))
    assert all(row.handled_at for row in events(shop).values())


def test_an_event_that_came_as_a_webhook_is_not_handled_again(shop):
    shop.pay(shop.open_session())
    shop.deliver()
    before = shop.fingerprint()

    walk(shop)

    assert shop.fingerprint()["StripeEvent"] == before["StripeEvent"]


def test_a_webhook_that_comes_after_the_walk_changes_nothing(shop):
    session = shop.open_session()
    shop.pay(session)
    walk(shop)
    before = shop.fingerprint()

    shop.deliver()

    kept = {row["id"]: row for row in before["StripeEvent"]}
    after = shop.fingerprint()
    assert {row["id"]: row for row in after["StripeEvent"] if row["id"] in kept} == kept
    assert after["Transaction"] == before["Transaction"]


def test_what_is_younger_than_a_minute_is_left_to_its_webhook(shop):
    session = shop.open_session()
    shop.pay(session)

    walk(shop, seconds=30)
    assert shop.rows(StripeEvent) == []

    walk(shop)
    assert shop.session(session.id).status == "completed"


def test_events_that_mean_nothing_here_are_not_kept(shop):
    shop.pay(shop.open_session())
    shop.control("events", type="payout.paid", object={"id": "po_1", "object": "payout"})

    walk(shop)

    assert {row.type for row in shop.rows(StripeEvent)} <= event_walk.WANTED


def test_the_list_is_read_a_hundred_a_page_over_several_runs_and_the_cursor_moves_at_the_end(shop, monkeypatch):
    monkeypatch.setattr(event_walk, "PAGES", 1)
    shop.open_session()
    for number in range(250):
        shop.control("events", type="refund.updated", object={"id": f"re_{number}", "object": "refund"})
    shop.pass_time(minutes=2)
    begun = clock.now()
    reached = []

    shop.run(build("sweeps.stripe_events"))
    while shop.queue.messages:
        message = shop.queue.messages.popleft()
        if message.actor_name == "sweeps.stripe_events":
            reached.append((len(events(shop)), cursor(shop).walked_until < begun - timedelta(minutes=2)))
            shop.run(message)

    assert reached == [(100, True), (200, True)]
    assert len(events(shop)) == 250
    assert cursor(shop).walked_until > begun - timedelta(minutes=2)
    assert cursor(shop).after_event_id is None


def test_a_walk_that_dies_after_a_page_goes_on_from_there(shop, monkeypatch):
    shop.open_session()
    for number in range(150):
        shop.control("events", type="refund.updated", object={"id": f"re_{number}", "object": "refund"})
    shop.pass_time(minutes=2)
    monkeypatch.setattr(event_walk, "PAGES", 1)
    shop.run(build("sweeps.stripe_events"))
    assert len(events(shop)) == 100
    shop.wipe_queue()

    walk(shop)

    assert len(events(shop)) == 150


def test_the_cursor_stays_when_keeping_the_events_fails(shop, monkeypatch):
    session = shop.open_session()
    shop.pay(session)
    adopt = event_walk.inbox.adopt

    def fail(*arguments):
        adopt(*arguments)
        raise RuntimeError("the process dies before the commit")

    monkeypatch.setattr(event_walk.inbox, "adopt", fail)
    with pytest.raises(RuntimeError):
        walk(shop)
    assert shop.rows(StripeEvent) == []
    monkeypatch.setattr(event_walk.inbox, "adopt", adopt)

    walk(shop)

    assert shop.session(session.id).status == "completed"


def test_two_walks_at_once_keep_each_event_once(shop):
    session = shop.open_session()
    shop.pay(session)
    shop.pass_time(minutes=2)

    shop.together(build("sweeps.stripe_events"), build("sweeps.stripe_events"))
    shop.work()

    assert shop.session(session.id).status == "completed"
    assert len(shop.transactions(session)) == 1


def test_an_event_that_shows_up_late_in_the_list_is_found_by_the_overlap(shop):
    session = shop.open_session()
    walk(shop)
    until = cursor(shop).walked_until
    shop.control("checkout/" + shop.checkout_id(session) + "/pay", card=DECLINED)
    # The cursor has passed the moment of the event already.
    shop.pass_time(minutes=2)
    with_cursor = EventWalk.update(walked_until=until + timedelta(minutes=1, seconds=50))
    with event_walk.transaction():
        with_cursor.execute()

    walk(shop, minutes=4)

    assert shop.session(session.id).status == "failed"


def test_an_endpoint_that_was_down_for_days_is_caught_up_with(shop):
    paid = []
    shop.run(build("sweeps.stripe_events"))
    for _ in range(3):
        session = shop.open_session()
        shop.pay(session)
        paid.append(session)
        shop.pass_time(hours=20)

    walk(shop)

    assert [shop.session(session.id).status for session in paid] == ["completed"] * 3


def test_what_stripe_has_forgotten_is_said(shop, caplog):
    session = shop.open_session()
    walk(shop)
    read_until = cursor(shop).walked_until
    shop.pay(session)

    with caplog.at_level(logging.ERROR):
        walk(shop, days=40)

    assert "out of its reach" in caplog.text
    assert cursor(shop).lost_since == read_until
    assert cursor(shop).lost_until - read_until > timedelta(days=10)


def test_a_place_in_the_list_that_stripe_has_forgotten_is_read_anew(shop, monkeypatch):
    session = shop.open_session()
    shop.pay(session)
    shop.pass_time(minutes=2)
    with event_walk.transaction():
        event_walks.begin(False, clock.now())
        EventWalk.update(after_event_id="evt_forgotten").execute()

    walk(shop)
    walk(shop)

    assert shop.session(session.id).status == "completed"


def test_a_refusal_of_the_list_is_not_hidden(shop, monkeypatch):
    shop.open_session()
    shop.pass_time(minutes=2)

    def refuse(*arguments):
        raise StripeRefused("the key may not read events")

    monkeypatch.setattr(event_walk.runtime().gateway, "list_page", refuse)
    with pytest.raises(StripeRefused):
        shop.run(build("sweeps.stripe_events"))


def test_while_stripe_is_away_the_walk_waits(shop):
    session = shop.open_session()
    shop.pay(session)
    shop.fault("refuse_connection", path_prefix="/v1/events", times=2)
    walk(shop)
    assert shop.session(session.id).status == "pending"

    walk(shop)

    assert shop.session(session.id).status == "completed"


def test_without_a_share_of_the_rate_limit_nothing_is_read(shop, monkeypatch):
    shop.pay(shop.open_session())
    monkeypatch.setattr(type(event_walk.runtime().budget), "claim_for_sweep", lambda *_: 0)

    walk(shop)

    assert shop.ledger()["calls"].get("GET /v1/events") is None
    assert shop.rows(StripeEvent) == []


def test_a_list_of_one_page_costs_other_sweeps_one_call(shop, monkeypatch):
    shop.pay(shop.open_session())
    shop.pass_time(minutes=2)
    claimed = []
    monkeypatch.setattr(
        type(event_walk.runtime().budget), "claim_for_sweep", lambda _, wanted: claimed.append(wanted) or wanted
    )

    shop.run(build("sweeps.stripe_events"))

    assert shop.ledger()["calls"]["GET /v1/events"] == sum(claimed) == 1


def test_before_the_first_sale_nothing_is_read(shop):
    walk(shop)

    assert shop.rows(EventWalk) == []


@pytest.mark.parametrize("wiped_before", ["the worker begins", "the commit"])
def test_redis_wiped_after_the_200_loses_no_payment(shop, monkeypatch, wiped_before):
    """The front end has said 200, so Stripe will never send it again; the message dies with Redis, or its worker does."""
    session = shop.open_session()
    shop.pay(session)
    for event in shop.events():
        shop.deliver_event(event)  # 200
    if wiped_before == "the commit":
        receive = shop.queue.messages.popleft()

        def die(*arguments):
            shop.state.flushall()
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("paywindow.actors.events.inbox.handled", die)
            with pytest.raises(KeyboardInterrupt):
                shop.run(receive)
    shop.wipe_queue()
    shop.state.flushall()
    assert shop.rows(StripeEvent) == []

    walk(shop)

    assert shop.session(session.id).status == "completed"
    assert shop.snapshot(session)["paymentSession"]["status"] == "completed"
    assert len(shop.rows(PaymentSession)) == 1


def test_a_body_that_was_read_back_says_what_the_webhook_would_have_said(shop):
    shop.pay(shop.open_session())
    walk(shop)

    stored = {row.id: json.loads(row.body) for row in shop.rows(StripeEvent)}

    assert stored == {event["id"]: event for event in shop.events() if event["id"] in stored}
