"""What an operator looks at: lists of sessions and receipts, a session's timeline, the backlog; and filling Redis again."""

import json
import uuid

import pytest

from paywindow import clock
from paywindow.models import database
from paywindow.models.tables import Outbox, PaymentSession, Receipt, StripeEvent
from paywindow.published import Publisher, session_key, window_key

DECLINED = "4000000000000002"


def body(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def ids(result):
    return [session["id"] for session in body(result)["paymentSessions"]]


def test_sessions_are_listed_newest_first_and_page_by_page(shop, paywindow):
    opened = [str(shop.open_session().id) for _ in range(3)]

    first = body(paywindow("sessions", "list", "--limit", 2, "--json"))
    second = body(paywindow("sessions", "list", "--limit", 2, "--cursor", first["nextCursor"], "--json"))

    assert [each["id"] for each in first["paymentSessions"] + second["paymentSessions"]] == opened[::-1]
    assert second["nextCursor"] is None
    told = paywindow("sessions", "list", "--limit", 2)
    assert [line.split()[0] for line in told.stdout.splitlines()[1:]] == opened[:0:-1]
    assert f"--cursor {first['nextCursor']}" in told.stderr


def test_sessions_are_filtered_by_state_auction_buyer_maker_time_and_hold(shop, paywindow):
    maker = uuid.uuid4()
    session = shop.open_session(maker_id=str(maker))
    canceled = shop.open_session()
    shop.cancel(canceled)
    shop.open_session()
    wanted = [str(session.id)]

    assert ids(paywindow("sessions", "list", "--auction", session.auction_id, "--json")) == wanted
    assert ids(paywindow("sessions", "list", "--buyer", session.buyer_id, "--json")) == wanted
    assert ids(paywindow("sessions", "list", "--maker", maker, "--json")) == wanted
    assert ids(paywindow("sessions", "list", "--status", "canceled", "--json")) == [str(canceled.id)]
    assert len(ids(paywindow("sessions", "list", "--status", "canceled", "--status", "pending", "--json"))) == 3
    assert ids(paywindow("sessions", "list", "--held", "--json")) == []
    assert len(ids(paywindow("sessions", "list", "--not-held", "--json"))) == 3
    tomorrow = f"{clock.now().replace(year=clock.now().year + 1):%Y-%m-%d}"
    assert ids(paywindow("sessions", "list", "--since", tomorrow, "--json")) == []
    assert len(ids(paywindow("sessions", "list", "--until", tomorrow, "--json"))) == 3
    assert "There are no such payment sessions." in paywindow("sessions", "list", "--held").output


def test_a_cursor_that_is_none_is_a_mistake_of_the_command_line(shop, paywindow):
    result = paywindow("sessions", "list", "--cursor", "nonsense")

    assert result.exit_code == 2
    assert "--cursor" in result.stderr


@pytest.fixture
def bought(shop):
    """A session that was declined, then paid, with its receipt issued; its file is not drawn."""
    shop.deaf_to.add("receipts.render")
    session = shop.open_session()
    shop.pay(session, DECLINED)
    shop.deliver()
    shop.pay(session)
    shop.deliver()
    return session


def test_the_timeline_tells_everything_in_order_of_time_with_who_and_why(shop, bought, paywindow):
    report = body(paywindow("sessions", "show", bought.id, "--json"))

    timeline = report["timeline"]
    assert [entry["at"] for entry in timeline] == sorted(entry["at"] for entry in timeline)
    assert {"command", "answer", "attempt", "event", "transition", "charge", "receipt", "notice"} <= {
        entry["what"] for entry in timeline
    }
    told = [(entry["what"], entry["who"], entry["text"].partition(" (")[0], entry["why"]) for entry in timeline]
    assert ("command", "shop", "checkout.create", None) in told
    assert ("transition", "stripe", "paid: failed → completed", "checkout.session.completed") in told
    assert ("charge", "stripe", "275.50 USD failed", "generic_decline") in told
    assert ("charge", "stripe", "275.50 USD succeeded, settles the session", None) in told
    # Every event of the purchase, those without an effect too.
    assert len([entry for entry in timeline if entry["what"] == "event"]) == len(shop.events())
    shown = paywindow("sessions", "show", bought.id).stdout
    assert f"{clock.now():%Y-%m-%d}" in shown
    assert "declined: pending → failed" in shown


def test_an_event_about_a_page_that_nobody_paid_on_is_in_the_timeline(shop, paywindow):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=25)
    shop.deliver()

    texts = [entry["text"] for entry in body(paywindow("sessions", "show", session.id, "--json"))["timeline"]]

    assert [text for text in texts if text.startswith("checkout.session.expired (evt_")]


def test_receipts_are_listed_newest_first_and_by_what_is_still_to_be_drawn(shop, bought, paywindow):
    [receipt] = shop.rows(Receipt)

    [listed] = body(paywindow("receipts", "list", "--unstored", "--json"))["receipts"]

    assert (listed["number"], listed["session"], listed["stored"]) == (receipt.receipt_number, str(bought.id), None)
    assert body(paywindow("receipts", "list", "--buyer", uuid.uuid4(), "--json")) == {
        "receipts": [],
        "nextCursor": None,
    }
    shown = paywindow("receipts", "list", "--session", bought.id).stdout
    assert f"{receipt.receipt_number}  receipt  275.50 USD" in " ".join(shown.split("   "))
    assert "not yet" in shown


def test_the_backlog_counts_what_waits_and_ends_with_1_once_something_is_overdue(shop, bought, paywindow):
    fresh = paywindow("backlog", "--json")
    counted = {each["kind"]: each for each in json.loads(fresh.stdout)["work"]}
    assert fresh.exit_code == 0
    assert (counted["receipts"]["waiting"], counted["receipts"]["overdue"]) == (1, 0)
    assert counted["windows"]["waiting"] == 0

    shop.pass_time(minutes=6)
    late = paywindow("backlog", "--json")

    assert late.exit_code == 1
    counted = {each["kind"]: each for each in json.loads(late.stdout)["work"]}
    assert counted["receipts"]["overdue"] == 1
    assert counted["outbox"]["overdue"] == len(shop.rows(Outbox)) > 0
    listed = paywindow("backlog", "outbox", "--json")
    assert listed.exit_code == 1
    [row] = json.loads(listed.stdout)["rows"]
    assert row["what"].startswith("receipts.render")
    assert "receipts.render" in paywindow("backlog", "outbox").stdout


def test_a_parked_event_waits_for_a_person_from_the_first_moment(shop, paywindow):
    with database.transaction():
        at = clock.now()
        StripeEvent.create(
            id="evt_1", type="charge.succeeded", livemode=False, stripe_created_at=at, received_at=at, parked_at=at
        )

    result = paywindow("backlog", "parked")

    assert result.exit_code == 1
    assert "evt_1" in result.stdout


def test_a_window_past_its_deadline_is_work_and_one_before_it_is_none(shop, paywindow):
    session = shop.open_session(window_minutes=60)
    assert body(paywindow("backlog", "windows", "--json"))["rows"] == []

    shop.pass_time(minutes=61)

    [row] = body(paywindow("backlog", "windows", "--json"))["rows"]
    assert (row["id"], row["overdue"]) == (str(session.id), False)


@pytest.mark.parametrize("size", [1, 200], ids=["page by page", "at once"])
def test_a_wiped_redis_is_filled_again_and_a_second_time_changes_nothing(shop, bought, paywindow, size, monkeypatch):
    monkeypatch.setattr("paywindow.cli.backfill._PAGE", size)
    session = shop.open_session()
    before = {each.id: shop.snapshot(each) for each in (bought, session)}
    left = shop.state.pttl(window_key(session.id))
    shop.wipe_queue()
    environment = {"STRIPE_API_BASE": shop.sandbox.url}

    result = paywindow("backfill", "--json", **environment)

    assert body(result) == {"published": 2}
    assert {each.id: shop.snapshot(each) for each in (bought, session)} == before
    assert abs(shop.state.pttl(window_key(session.id)) - left) < 60_000
    assert not shop.state.exists(window_key(bought.id))
    assert body(paywindow("backfill", "--json", **environment)) == {"published": 2}

    shop.pass_time(days=4)
    shop.state.delete(session_key(bought.id))
    assert body(paywindow("backfill", "--json", **environment)) == {"published": 1}
    assert not shop.state.exists(session_key(bought.id))


def test_filling_a_redis_that_is_wiped_again_meanwhile_shows_nothing_old(shop, paywindow, monkeypatch):
    session = shop.open_session()
    tell = Publisher.session

    def changed_meanwhile(publisher, identifier, found):
        monkeypatch.setattr(Publisher, "session", tell)
        with database.transaction():
            PaymentSession.change(session.id, version=session.version + 1)
        shop.state.flushdb()
        tell(publisher, identifier, found)

    monkeypatch.setattr(Publisher, "session", changed_meanwhile)

    assert body(paywindow("backfill", "--json", STRIPE_API_BASE=shop.sandbox.url)) == {"published": 1}

    assert int(shop.state.hget(session_key(session.id), "v")) == shop.session(session.id).version
