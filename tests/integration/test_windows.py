"""The payment window is enforced, and can be moved."""

from paywindow import ids, messages


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
    shop.pass_time(minutes=59, seconds=58)
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
