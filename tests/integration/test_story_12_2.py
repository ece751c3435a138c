"""Story 12.2, payment window enforcement: its acceptance criteria, by number."""

from datetime import timedelta

import pytest

from paywindow import clock, ids, jsons, messages
from paywindow.models.tables import Notification
from paywindow.published import window_key

pytestmark = pytest.mark.usefixtures("audited")


def override(shop, actor, session, **request):
    request = {"session_id": str(session.id), "reason": "asked on the phone", **request}
    operation = ids.operation_id("shop", None)
    shop.run(messages.command(actor, operation, "admin", ids.fingerprint(actor, request), request))
    shop.work()
    return shop.outcome(operation)


def open_pages(shop):
    return [page for page in shop.ledger()["sessions"] if page["status"] == "open"]


def told(shop, session):
    """What the marketplace was told: type and data, oldest first."""
    rows = shop.rows(Notification, Notification.session == session.id)
    return [(row.type, jsons.loads(row.payload)["data"]) for row in rows]


# AC1: expiration enforcement


@pytest.mark.parametrize("minutes", [5, 45, 1440, 3000])
def test_12_2_ac1_an_unpaid_window_expires_at_its_deadline(shop, minutes):
    session = shop.open_session(window_minutes=minutes)
    while (left := shop.session(session.id).expires_at - clock.now()) > timedelta(hours=24):
        shop.pass_time(hours=24)
        shop.sweep()
    assert shop.session(session.id).status == "pending"

    shop.pass_time(seconds=left.total_seconds())
    shop.sweep()

    assert shop.session(session.id).status == "expired"


def test_12_2_ac1_the_checkout_page_is_expired_at_stripe(shop):
    session = shop.open_session(window_minutes=5)

    shop.pass_time(minutes=5)
    shop.sweep()

    assert open_pages(shop) == []
    assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None


def test_12_2_ac1_the_marketplace_is_told_and_the_auction_is_free(shop):
    session = shop.open_session(window_minutes=60)

    shop.pass_time(hours=1)
    shop.sweep()

    assert [kind for kind, _ in told(shop, session)] == ["payment.expired", "auction.released"]
    assert {data["auctionId"] for _, data in told(shop, session)} == {str(session.auction_id)}
    assert shop.create(shop.request(auction_id=str(session.auction_id)))["status"] == 201


def test_12_2_ac1_a_payment_in_time_is_never_expired(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(minutes=59)
    shop.pay(session)

    shop.pass_time(minutes=10)
    shop.sweep()

    assert shop.session(session.id).status == "completed"


def test_12_2_ac1_an_outage_delays_expiry_and_loses_none(shop):
    session = shop.open_session(window_minutes=60)
    shop.fault("500", path_prefix="/v1/checkout", times=100)
    shop.pass_time(hours=1)
    shop.sweep()
    assert shop.session(session.id).status == "pending"

    shop.mend()
    shop.pass_time(minutes=5)
    shop.wipe_queue()
    shop.sweep()

    assert shop.session(session.id).status == "expired"


# AC2: countdown accuracy


def test_12_2_ac2_the_published_deadline_is_the_sessions_to_the_second(shop):
    session = shop.open_session(window_minutes=90)

    shown = shop.snapshot(session, "buyer")["paymentSession"]

    assert shown["expiresAt"] == clock.isoformat(session.expires_at)
    assert int(shop.state.hget(f"pw:session:{session.id}", "expires_ms")) == int(session.expires_at.timestamp() * 1000)


def test_12_2_ac2_the_default_window_ends_with_stripes_own_page(shop):
    session = shop.open_session()

    (page,) = open_pages(shop)
    assert session.expires_at.timestamp() == page["expires_at"]


def test_12_2_ac2_from_the_deadline_on_the_session_reads_closing_without_a_pay_button(shop):
    session = shop.open_session(window_minutes=60)

    closes_ms = int(shop.state.hget(f"pw:session:{session.id}", "closes_ms"))
    shown = shop.snapshot(session, "buyer_closing")["paymentSession"]

    assert closes_ms == int(session.expires_at.timestamp() * 1000)
    assert (shown["closing"], shown["stripeCheckoutUrl"]) == (True, None)


def test_12_2_ac2_redis_counts_down_with_it_and_drift_is_repaired(shop):
    session = shop.open_session(window_minutes=60)
    shop.state.expire(window_key(session.id), 10)

    shop.run(messages.build("sweeps.window_mirror"))

    left = timedelta(milliseconds=shop.state.pttl(window_key(session.id)))
    assert abs(left - (session.expires_at - clock.now())) < timedelta(seconds=5)


def test_12_2_ac2_a_moved_deadline_is_published_at_once(shop):
    session = shop.open_session(window_minutes=60)

    override(shop, "window.extend", session, minutes=30, until=None)

    later = session.expires_at + timedelta(minutes=30)
    assert shop.snapshot(session, "buyer")["paymentSession"]["expiresAt"] == clock.isoformat(later)


# AC3: admin override and notifications


def test_12_2_ac3_an_admin_extends_a_window(shop):
    session = shop.open_session(window_minutes=60)

    assert override(shop, "window.extend", session, minutes=60, until=None)["status"] == 200

    shop.pass_time(minutes=90)
    shop.sweep()
    session = shop.session(session.id)
    assert session.status == "pending"
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


def test_12_2_ac3_an_admin_expires_a_window_now(shop):
    session = shop.open_session()

    assert override(shop, "window.expire", session)["status"] == 200

    assert shop.session(session.id).status == "expired"
    assert open_pages(shop) == []


def test_12_2_ac3_an_admin_reopens_an_expired_window(shop):
    session = shop.open_session(window_minutes=60)
    shop.pass_time(hours=1)
    shop.sweep()

    outcome = override(shop, "window.reopen", session, minutes=60, until=None)

    assert outcome["status"] == 200
    (page,) = open_pages(shop)
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]


def test_12_2_ac3_an_override_that_comes_too_late_is_refused(shop):
    session = shop.open_session(window_minutes=60)
    shop.pay(session)
    shop.deliver()

    for actor in ("window.extend", "window.expire", "window.reopen"):
        outcome = override(shop, actor, session, minutes=60, until=None)
        assert (outcome["status"], outcome["body"]["code"]) == (409, "already_paid")


def test_12_2_ac3_every_override_is_audited_and_announced_with_its_reason(shop):
    session = shop.open_session(window_minutes=60)

    override(shop, "window.extend", session, minutes=60, until=None)
    override(shop, "window.expire", session)
    override(shop, "window.reopen", session, minutes=60, until=None)

    audit = [(row.event, row.why) for row in shop.transitions(session) if row.who == "service:admin"]
    assert audit == [(event, "asked on the phone") for event in ("extend", "expire", "reopen")]
    kinds = [kind for kind, _ in told(shop, session)]
    assert sorted(kinds) == ["auction.released", "payment.expired", "window.extended", "window.extended"]
    assert [data["reason"] for kind, data in told(shop, session) if kind == "window.extended"] == [audit[0][1]] * 2
