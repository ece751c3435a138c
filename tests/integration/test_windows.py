"""The payment window is enforced, and can be moved."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from paywindow import clock, ids, jsons, messages, metrics
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeUnavailable
from paywindow.models import moves
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.tables import Notification, PaymentSession, Receipt, Transition
from paywindow.published import window_key
from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.server import SandboxServer
from paywindow.states import Event


def override(shop, actor, session, **request):
    request = {"session_id": str(session.id), "reason": "the buyer called", **request}
    operation = ids.operation_id("shop", None)
    shop.run(messages.command(actor, operation, "admin", ids.fingerprint(actor, request), request))
    shop.work()
    return shop.outcome(operation)


def open_pages(shop):
    return [page for page in shop.ledger()["sessions"] if page["status"] == "open"]


def test_a_window_past_its_deadline_is_closed_and_its_auction_released(shop):
    session = shop.open_session(window_minutes=120)

    shop.pass_time(hours=2)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.released_at is not None) == ("expired", True)
    assert open_pages(shop) == []
    assert shop.snapshot(session)["paymentSession"]["status"] == "expired"


def test_a_short_window_is_closed_at_stripe_too(shop):
    session = shop.open_session(window_minutes=5)
    assert len(open_pages(shop)) == 1

    shop.pass_time(minutes=5)
    shop.sweep()

    assert shop.session(session.id).status == "expired"
    assert open_pages(shop) == []


def test_a_long_window_rolls_to_a_new_page_when_the_old_one_dies(shop):
    session = shop.open_session(window_minutes=3 * 1440)

    shop.pass_time(hours=24)
    shop.deliver()
    shop.pass_time(seconds=2)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.attempt_number) == ("pending", 2)
    assert shop.attempt(session).kind == "roll"
    assert len(open_pages(shop)) == 1
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


def test_an_extended_window_outlives_its_page(shop):
    session = shop.open_session()
    outcome = override(shop, "window.extend", session, minutes=600, until=None)
    assert outcome["status"] == 200, outcome

    shop.pass_time(hours=24, seconds=5)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.attempt_number) == ("pending", 2)
    shop.pass_time(hours=10)
    shop.sweep()
    assert shop.session(session.id).status == "expired"
    assert open_pages(shop) == []


def test_a_reopened_window_can_be_paid(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    shop.sweep()

    outcome = override(shop, "window.reopen", session, minutes=60, until=None)

    assert outcome["status"] == 200, outcome
    session = shop.session(session.id)
    assert session.status == "pending"
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


def test_a_window_that_was_paid_at_the_last_second_is_settled_not_closed(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(minutes=59)
    shop.pay(session)

    shop.pass_time(minutes=5)
    shop.sweep()

    assert shop.session(session.id).status == "completed"


def test_while_stripe_is_away_the_window_stays_open_and_shows_as_closing(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    shop.fault("refuse_connection", times=10)

    shop.sweep()

    assert shop.session(session.id).status == "pending"
    assert shop.snapshot(session, "buyer_closing")["paymentSession"]["closing"] is True
    assert shop.snapshot(session, "buyer_closing")["paymentSession"]["stripeCheckoutUrl"] is None

    shop.mend()
    shop.pass_time(minutes=5)
    shop.sweep()
    assert shop.session(session.id).status == "expired"


def test_an_admin_expires_a_window_now(shop):
    session = shop.open_session()

    outcome = override(shop, "window.expire", session)

    assert outcome["status"] == 200
    assert shop.session(session.id).status == "expired"
    assert open_pages(shop) == []


def test_stripe_is_asked_before_a_window_is_closed(shop):
    shop.open_session(window_minutes=120)
    shop.pass_time(minutes=119)
    assert "POST /v1/checkout/sessions/{session}/expire" not in shop.ledger()["calls"]

    shop.pass_time(minutes=1)
    shop.sweep()

    assert shop.ledger()["calls"]["POST /v1/checkout/sessions/{session}/expire"] == 1


def test_a_window_is_not_closed_before_its_deadline(shop):
    session = shop.open_session(window_minutes=120)

    shop.pass_time(minutes=119)
    shop.sweep()

    assert shop.session(session.id).status == "pending"
    assert len(open_pages(shop)) == 1


def test_a_closed_window_is_told_tracked_and_measured(shop):
    session = shop.open_session(window_minutes=120)
    sum_before, count_before = metrics.WINDOW_LATENESS._sum.get(), metrics.WINDOWS_EXPIRED._value.get()

    shop.pass_time(hours=2, seconds=7)
    shop.sweep()

    assert shop.notifications(session) == ["payment.expired", "auction.released"]
    (told,) = shop.rows(Notification, Notification.type == "auction.released")
    data = jsons.loads(told.payload)["data"]
    assert (data["auctionId"], data["status"]) == (str(session.auction_id), "expired")
    assert metrics.WINDOW_LATENESS._sum.get() - sum_before >= 6
    assert metrics.WINDOWS_EXPIRED._value.get() == count_before + 1


def test_an_hour_without_scheduler_and_workers_loses_no_expiry(shop):
    sessions = [shop.open_session(window_minutes=minutes) for minutes in (50, 30, 90, 40, 60)]

    shop.pass_time(hours=1, seconds=1)
    shop.wipe_queue()
    shop.sweep()

    found = {session.window_minutes: shop.session(session.id).status for session in sessions}
    assert found == {30: "expired", 40: "expired", 50: "expired", 60: "expired", 90: "pending"}
    closed = [row.session_id for row in shop.rows(Transition) if row.event == "window_closed"]
    in_order = sorted(sessions[:2] + sessions[3:], key=lambda session: session.expires_at)
    assert closed == [session.id for session in in_order]


def test_closing_a_window_twice_changes_nothing(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    due = messages.build("window.due", session_id=str(session.id))
    shop.run(due)
    shop.work()
    before = shop.fingerprint()

    shop.run(due)
    shop.work()

    assert shop.fingerprint() == before


def test_workers_that_close_a_window_together_close_it_once(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)

    shop.together(*[messages.build("window.due", session_id=str(session.id)) for _ in range(4)])
    shop.work()

    assert shop.notifications(session) == ["payment.expired", "auction.released"]


def test_a_window_that_cannot_be_asked_about_is_looked_at_again_after_growing_waits(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    shop.fault("refuse_connection", path_prefix="/v1/checkout", times=100)

    for wait in (2, 4, 8, 16, 32, 64, 120, 120):
        before = clock.now()
        shop.run(messages.build("window.due", session_id=str(session.id)))
        due_at = shop.session(session.id).due_at
        assert before <= due_at - timedelta(seconds=wait) <= clock.now()


# Paid at the last second


@pytest.mark.parametrize("told_first", [True, False])
def test_the_moment_of_the_charge_decides_not_the_moment_of_the_webhook(shop, told_first):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(minutes=59)
    shop.pay(session)
    shop.pass_time(hours=3)

    if told_first:
        shop.deliver()
    else:
        shop.sweep()
    shop.deliver()

    assert shop.session(session.id).status == "completed"
    (paid,) = shop.transactions(session)
    assert paid.settled_at is not None


def test_a_charge_after_the_deadline_on_a_page_that_still_stood_open_is_given_back(shop):
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=5, seconds=2)
    shop.pay(session)

    shop.deliver()
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.hold_reason) == ("expired", None)
    (paid,) = shop.transactions(session)
    assert (paid.settled_at, paid.status) == (None, "refunded")
    assert shop.rows(Receipt) == []


@pytest.fixture
def lenient_shop(make_shop, sandbox_server):
    """A shop whose Stripe lets a buyer who is at the bank finish after the page was closed."""
    _, clock_file = sandbox_server
    config = SandboxConfig(clock_file=clock_file, tick=3600, authentication_survives_expiry=True)
    with SandboxServer(config) as lenient:
        shop = make_shop(STRIPE_API_BASE=lenient.url)
        shop.sandbox = lenient
        yield shop


@pytest.mark.parametrize(
    ("how", "status", "money"),
    [
        ("deadline", "expired", "refunded"),
        ("admin", "completed", "succeeded"),
        ("admin, then the next bidder", "completed", "succeeded"),
        ("cancel", "canceled", "refunded"),
    ],
)
def test_money_that_comes_out_of_3_d_secure_after_the_page_was_closed_is_not_lost(lenient_shop, how, status, money):
    shop = lenient_shop
    session = shop.open_session(window_minutes=5)
    page = shop.checkout_id(session)
    shop.pay(session, "4000000000003220")
    if how == "deadline":
        shop.pass_time(minutes=5, seconds=2)
        shop.sweep()
    elif how == "cancel":
        shop.cancel(session)
    else:
        override(shop, "window.expire", session)
    if how == "admin, then the next bidder":
        following = shop.open_session(auction_id=str(session.auction_id))

    shop.control(f"checkout/{page}/authenticate", passed=True)
    shop.deliver()
    shop.pass_time(minutes=2)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.hold_reason) == (status, None)
    (paid,) = shop.transactions(session)
    assert (paid.status, paid.settled_at is None) == (money, money == "refunded")
    if how == "admin, then the next bidder":
        assert shop.session(following.id).status == "expired"


# Two clocks


def test_the_default_window_ends_when_stripes_page_does(shop):
    session = shop.open_session()

    (page,) = open_pages(shop)
    assert session.expires_at.timestamp() == page["expires_at"]


@pytest.mark.parametrize("minutes", [31, 45, 120, 1380])
def test_a_shorter_window_gives_its_end_to_the_page(shop, minutes):
    session = shop.open_session(window_minutes=minutes)

    (page,) = open_pages(shop)
    assert int(session.expires_at.timestamp()) == page["expires_at"]


def test_a_page_lives_longer_than_a_very_short_window(shop):
    session = shop.open_session(window_minutes=1)

    (page,) = open_pages(shop)
    assert page["expires_at"] - session.expires_at.timestamp() > 29 * 60


def test_rolling_counts_no_retry_and_the_pay_url_stays(shop):
    outcome = shop.create(shop.request(window_minutes=4 * 1440))
    session = shop.session(outcome["body"]["paymentSession"]["id"])

    for day in (1, 2, 3):
        shop.pass_time(hours=24, seconds=1)
        shop.sweep()
        session = shop.session(session.id)
        assert (session.status, session.attempt_number, session.retry_count) == ("pending", day + 1, 0)
        assert shop.attempt(session).kind == "roll"
        (page,) = open_pages(shop)
        assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] == page["url"]

    assert urlsplit(outcome["body"]["payUrl"]).path == f"/pay/{session.id}"
    again = override(shop, "window.extend", session, minutes=60, until=None)
    assert urlsplit(again["body"]["payUrl"]).path == f"/pay/{session.id}"
    assert "payment.expired" not in shop.notifications(session)


def test_the_last_page_of_a_long_window_ends_with_it(shop):
    session = shop.open_session(window_minutes=1440 + 120)

    shop.pass_time(hours=24, seconds=1)
    shop.sweep()

    (page,) = open_pages(shop)
    assert page["expires_at"] == int(shop.session(session.id).expires_at.timestamp())


# Remaining time in Redis


def remaining(shop, session):
    return timedelta(milliseconds=shop.state.pttl(window_key(session.id)))


def mirror(shop):
    before = metrics.WINDOW_REPAIRS._value.get(), metrics.WINDOW_DRIFT._sum.get()
    shop.run(messages.build("sweeps.window_mirror"))
    return metrics.WINDOW_REPAIRS._value.get() - before[0], metrics.WINDOW_DRIFT._sum.get() - before[1]


def test_redis_mirrors_the_remaining_time(shop):
    session = shop.open_session(window_minutes=120)
    assert timedelta(minutes=119) < remaining(shop, session) <= timedelta(minutes=120)

    override(shop, "window.extend", session, minutes=60, until=None)
    assert timedelta(minutes=179) < remaining(shop, session) <= timedelta(minutes=180)

    override(shop, "window.expire", session)
    assert not shop.state.exists(window_key(session.id))


def test_a_mirror_that_is_right_is_left_alone(shop):
    shop.open_session(window_minutes=120)

    repairs, drift = mirror(shop)

    assert (repairs, drift < 1) == (0, True)


@pytest.mark.parametrize("damage", ["lost", "short", "for ever"])
def test_drift_is_measured_and_repaired(shop, damage):
    session = shop.open_session(window_minutes=120)
    key = window_key(session.id)
    if damage == "lost":
        shop.state.delete(key)
    elif damage == "short":
        shop.state.expire(key, 60)
    else:
        shop.state.persist(key)

    repairs, drift = mirror(shop)

    assert (repairs, drift > 7000) == (1, True)
    assert timedelta(minutes=119) < remaining(shop, session) <= timedelta(minutes=120)


def test_every_open_window_is_compared_and_no_closed_one(shop):
    ended, *others = [shop.open_session(window_minutes=120) for _ in range(3)]
    override(shop, "window.expire", ended)
    shop.state.flushdb()

    repairs, _ = mirror(shop)

    assert repairs == 2
    assert all(shop.state.exists(window_key(session.id)) for session in others)
    assert not shop.state.exists(window_key(ended.id))


def test_a_window_that_is_closed_while_it_is_compared_does_not_seem_open(shop):
    session = shop.open_session(window_minutes=120)
    read_before = [(session.id, session.expires_at)]
    override(shop, "window.expire", session)

    runtime().publisher.mirror_windows(read_before)

    assert not shop.state.exists(window_key(session.id))


def test_a_window_that_is_closed_while_it_is_compared_with_a_wiped_redis_does_not_seem_open(shop, monkeypatch):
    session = shop.open_session(window_minutes=120)
    publisher, compare = runtime().publisher, runtime().publisher.mirror_windows

    def frozen_meanwhile(deadlines):
        override(shop, "window.expire", session)
        shop.state.flushdb()
        return compare(deadlines)

    monkeypatch.setattr(publisher, "mirror_windows", frozen_meanwhile)
    shop.run(messages.build("sweeps.window_mirror"))
    assert shop.state.exists(window_key(session.id))
    shop.queue.messages.clear()
    shop.pass_time(seconds=16)
    shop.sweep()

    assert not shop.state.exists(window_key(session.id))


# Overrides


def bring_to(shop, state):
    """A session in a state."""
    session = shop.open_session(window_minutes=60)
    if state == "paid":
        shop.pay(session)
        shop.deliver()
    elif state == "canceled":
        shop.cancel(session)
    elif state in ("expired", "taken"):
        shop.pass_time(hours=1)
        shop.sweep()
    elif state == "too late":
        shop.pass_time(hours=1)
    elif state == "held":
        session = shop.open_session(window_minutes=5)
        shop.pass_time(minutes=5)
        shop.pay(session)
        shop.pass_time(seconds=1)
        shop.deliver()
        hold(session)
    if state == "taken":
        shop.open_session(auction_id=str(session.auction_id))
    return shop.session(session.id)


def hold(session):
    with transaction():
        locked = moves.lock_session(session.id)
        if locked.hold_reason is None and locked.status != "completed":
            moves.apply(locked, Event.PAID_MISMATCHED, Cause("stripe", clock.now()))


REFUSALS = [
    ("window.extend", "paid", "already_paid"),
    ("window.extend", "canceled", "session_canceled"),
    ("window.extend", "expired", "session_expired"),
    ("window.extend", "too late", "session_expired"),
    ("window.expire", "paid", "already_paid"),
    ("window.expire", "canceled", "session_canceled"),
    ("window.reopen", "open", "session_open"),
    ("window.reopen", "paid", "already_paid"),
    ("window.reopen", "canceled", "session_canceled"),
    ("window.reopen", "taken", "auction_taken"),
]


@pytest.mark.parametrize(("actor", "state", "code"), REFUSALS)
def test_an_override_that_comes_too_late_says_so_and_changes_nothing(shop, actor, state, code):
    session = bring_to(shop, state)
    wanted = {} if actor == "window.expire" else {"minutes": 60, "until": None}

    outcome = override(shop, actor, session, **wanted)

    assert (outcome["status"], outcome["body"]["code"]) == (409, code)
    assert shop.session(session.id).__data__ == session.__data__


@pytest.mark.parametrize("actor", ["window.extend", "window.expire", "window.reopen"])
def test_a_held_session_cannot_be_moved(shop, actor):
    session = shop.open_session()
    hold(session)

    outcome = override(shop, actor, session, minutes=60, until=None)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_held")


def test_the_refusal_of_a_reopen_names_the_session_that_has_the_auction(shop):
    session = bring_to(shop, "taken")

    outcome = override(shop, "window.reopen", session, minutes=60, until=None)

    (other,) = shop.rows(PaymentSession, PaymentSession.released_at.is_null())
    assert outcome["body"]["sessionId"] == str(other.id)


def test_a_payment_that_beats_an_expire_is_settled_and_the_admin_told(shop):
    session = shop.open_session()
    shop.pay(session)

    outcome = override(shop, "window.expire", session)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "already_paid")
    assert shop.session(session.id).status == "completed"


LIMITS = [
    ("window.extend", {"minutes": 43_201, "until": None}, "minutes"),
    ("window.extend", {"minutes": -5, "until": None}, "minutes"),
    ("window.extend", {"minutes": None, "until": timedelta(minutes=-1)}, "until"),
    ("window.extend", {"minutes": None, "until": timedelta(minutes=30)}, "until"),
    ("window.extend", {"minutes": None, "until": timedelta(days=31)}, "until"),
    ("window.reopen", {"minutes": 43_201, "until": None}, "minutes"),
    ("window.reopen", {"minutes": None, "until": timedelta(minutes=-1)}, "until"),
    ("window.reopen", {"minutes": None, "until": timedelta(days=31)}, "until"),
]


@pytest.mark.parametrize(("actor", "request_", "field"), LIMITS)
def test_a_deadline_beyond_the_limits_is_refused_by_field(shop, actor, request_, field):
    session = bring_to(shop, "open" if actor == "window.extend" else "expired")
    if request_["until"] is not None:
        request_ = {**request_, "until": (clock.now() + request_["until"]).isoformat()}

    outcome = override(shop, actor, session, **request_)

    assert (outcome["status"], outcome["body"]["code"]) == (422, "invalid_request")
    assert [error["field"] for error in outcome["body"]["errors"]] == [field]
    assert shop.session(session.id).__data__ == session.__data__


@pytest.mark.parametrize("by", ["minutes", "until"])
def test_a_window_is_extended_by_minutes_or_until_a_moment(shop, by):
    session = shop.open_session(window_minutes=60)
    wanted = session.expires_at + timedelta(minutes=90)
    request = {"minutes": 90, "until": None} if by == "minutes" else {"minutes": None, "until": wanted.isoformat()}

    outcome = override(shop, "window.extend", session, **request)

    assert outcome["status"] == 200
    assert outcome["body"]["paymentSession"]["expiresAt"] == clock.isoformat(wanted)
    assert shop.session(session.id).expires_at == wanted
    assert shop.snapshot(session)["paymentSession"]["expiresAt"] == clock.isoformat(wanted)


def test_an_override_is_audited_with_who_and_why_and_announced(shop):
    session = shop.open_session(window_minutes=60)

    override(shop, "window.extend", session, minutes=60, until=None)
    override(shop, "window.expire", session)
    override(shop, "window.reopen", session, minutes=60, until=None)

    audit = [(row.event, row.who, row.why) for row in shop.transitions(session) if row.who.startswith("service:")]
    assert audit == [(event, "service:admin", "the buyer called") for event in ("extend", "expire", "reopen")]
    told = shop.rows(Notification, Notification.session == session.id)
    assert sorted(row.type for row in told) == sorted(
        ["window.extended", "payment.expired", "auction.released", "window.extended"]
    )
    extended = [jsons.loads(row.payload)["data"] for row in told if row.type == "window.extended"]
    assert [data["reason"] for data in extended] == ["the buyer called"] * 2
    assert extended[-1]["expiresAt"] == clock.isoformat(shop.session(session.id).expires_at)


def test_an_override_that_is_repeated_happens_once(shop):
    session = shop.open_session(window_minutes=60)
    request = {"session_id": str(session.id), "reason": "once", "minutes": 60, "until": None}
    message = messages.command(
        "window.extend", ids.operation_id("admin", "key"), "admin", ids.fingerprint("extend", request), request
    )

    for _ in range(3):
        shop.run(message)
        shop.work()

    assert shop.session(session.id).expires_at == session.expires_at + timedelta(minutes=60)


def test_an_unknown_session_cannot_be_moved(shop):
    for actor in ("window.extend", "window.expire", "window.reopen"):
        request = {"session_id": str(uuid.uuid4()), "reason": "?", "minutes": 5, "until": None}
        operation = ids.operation_id("admin", None)
        shop.run(messages.command(actor, operation, "admin", ids.fingerprint(actor, request), request))
        shop.work()
        assert shop.outcome(operation)["status"] == 404


# Release


@pytest.mark.parametrize("how", ["deadline", "admin"])
def test_an_expired_sessions_auction_goes_to_the_next_bidder(shop, how):
    session = shop.open_session(window_minutes=60)
    if how == "admin":
        override(shop, "window.expire", session)
    else:
        shop.pass_time(hours=1)
        shop.sweep()

    outcome = shop.create(shop.request(auction_id=str(session.auction_id)))

    assert outcome["status"] == 201
    assert shop.session(session.id).released_at is not None


def test_an_auction_is_not_released_while_stripe_has_not_closed_the_page(shop):
    session = shop.open_session(window_minutes=60)
    shop.fault("500", path_suffix="/expire", times=10)
    shop.pass_time(hours=1)
    shop.sweep()

    outcome = shop.create(shop.request(auction_id=str(session.auction_id)))

    assert (outcome["status"], outcome["body"]["code"]) == (409, "auction_taken")


def test_a_page_that_comes_too_late_is_closed_and_shown_as_closed(shop):
    message = shop.create_message(shop.request(window_minutes=60))
    shop.fault("timeout_after_work", path_prefix="/v1/checkout", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (session,) = shop.rows(PaymentSession)
    shop.cancel(session)

    shop.pass_time(minutes=1)
    shop.sweep()

    assert open_pages(shop) == []
    shown = shop.snapshot(session)
    assert [attempt["status"] for attempt in shown["attempts"]] == ["closed"]
    assert shown["paymentSession"]["version"] == shop.session(session.id).version


def test_a_page_that_is_refused_after_the_session_was_called_off_is_shown_as_refused(shop):
    message = shop.create_message(shop.request(window_minutes=60, currency="USD", amount_minor=1))
    shop.fault("500", path_prefix="/v1/checkout", times=2)
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    (session,) = shop.rows(PaymentSession)
    shop.cancel(session)

    shop.pass_time(minutes=1)
    shop.sweep()

    shown = shop.snapshot(session)
    assert shown["paymentSession"]["status"] == "canceled"
    assert [attempt["status"] for attempt in shown["attempts"]] == ["refused"]


def test_extending_a_window_whose_page_just_died_does_not_put_off_the_next_page(shop):
    session = shop.open_session(window_minutes=3 * 1440)
    shop.pass_time(hours=24, seconds=1)
    shop.tell("checkout.session.expired")

    assert override(shop, "window.extend", session, minutes=60, until=None)["status"] == 200

    shop.pass_time(seconds=2)
    shop.sweep()
    assert len(open_pages(shop)) == 1
    assert shop.attempt(session).kind == "roll"


def test_extending_a_window_that_has_no_retry_left_does_not_put_off_the_closing_of_its_page(make_shop):
    shop = make_shop(PAYMENT_RETRY_LIMIT="0")
    session = shop.open_session(window_minutes=600)
    shop.pay(session, "4000000000000002")
    shop.tell("payment_intent.payment_failed")

    assert override(shop, "window.extend", session, minutes=60, until=None)["status"] == 200

    shop.sweep()
    assert open_pages(shop) == []
    assert shop.session(session.id).status == "failed"


def test_the_answer_of_an_older_page_does_not_answer_a_reopen(shop):
    creating = shop.create_message(shop.request(window_minutes=60))
    pages = {"method": "POST", "path_prefix": "/v1/checkout/sessions"}
    shop.fault("hold_reply", **pages)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(shop.run, creating)
        shop.await_hold()
        (session,) = shop.rows(PaymentSession)
        assert override(shop, "window.expire", session)["status"] == 200
        shop.fault("hold_reply", **pages)
        request = {"session_id": str(session.id), "reason": "the buyer called", "minutes": 60, "until": None}
        operation = ids.operation_id("shop", None)
        second = pool.submit(
            shop.run, messages.command("window.reopen", operation, "admin", ids.fingerprint("reopen", request), request)
        )
        while len(holds := shop.look("holds")["holds"]) < 2:
            pass
        shop.control("holds/release", id=holds[0]["id"])
        first.result()
        shop.control("holds/release")
        second.result()
    shop.work()

    outcome = shop.outcome(operation)
    (page,) = open_pages(shop)
    assert outcome["status"] == 200, outcome
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]
    assert shop.checkout_id(session) == page["id"]


def test_money_that_comes_after_the_deadline_while_an_admin_closes_the_window_is_late(shop):
    session = shop.open_session(window_minutes=5)
    shop.pass_time(minutes=4, seconds=30)
    shop.fault("hold_request", method="POST", path_suffix="/expire")
    with ThreadPoolExecutor() as pool:
        expiring = pool.submit(override, shop, "window.expire", session)
        shop.await_hold()
        shop.pass_time(minutes=1)
        shop.pay(session)
        shop.control("holds/release")
        outcome = expiring.result()

    session = shop.session(session.id)
    assert (session.status, session.hold_reason) == ("expired", None)
    assert [(row.settled_at, row.status) for row in shop.transactions(session)] == [(None, "refunded")]
    assert outcome["status"] == 200


def test_a_roll_whose_parameters_grew_too_old_in_an_outage_costs_nobody_the_auction(shop):
    session = shop.open_session(window_minutes=1440 + 20)
    shop.pass_time(hours=24, seconds=1)
    shop.fault("refuse_connection", method="POST", path_suffix="/sessions", times=1000)
    with pytest.raises(StripeUnavailable):
        shop.run(messages.build("window.due", session_id=str(session.id)))
    shop.mend()

    shop.pass_time(minutes=2)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.released_at, session.attempt_number) == ("pending", None, 3)
    assert [page["id"] for page in open_pages(shop)] == [shop.checkout_id(session)]
    shop.pass_time(minutes=18)
    shop.sweep()
    assert (shop.session(session.id).status, open_pages(shop)) == ("expired", [])


def test_the_release_of_an_auction_is_announced_once(shop):
    shop.fault("refuse_connection", times=1000)
    with pytest.raises(StripeUnavailable):
        shop.run(shop.create_message(shop.request(window_minutes=30)))
    (session,) = shop.rows(PaymentSession)
    shop.pass_time(minutes=31)
    shop.mend()
    shop.run(messages.build("sweeps.windows"))
    shop.work()
    shop.sweep()
    override(shop, "window.expire", session)

    assert shop.notifications(session).count("auction.released") == 1


def test_a_window_whose_auction_was_released_cannot_be_extended(shop):
    outcome = shop.create(shop.request(amount_minor=1))
    session = shop.session(outcome["body"]["sessionId"])
    assert (session.status, session.released_at is not None) == ("failed", True)

    outcome = override(shop, "window.extend", session, minutes=60, until=None)

    assert (outcome["status"], outcome["body"]["code"]) == (409, "session_expired")
    assert shop.session(session.id).expires_at == session.expires_at
    override(shop, "window.expire", session)
    assert shop.notifications(session).count("auction.released") == 1
