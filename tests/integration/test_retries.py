"""Failed payments are retried, within limits, without ever charging twice."""

from paywindow import ids, messages

DECLINED = "4000000000000002"


def command(shop, actor, session, client="shop"):
    request = {"session_id": str(session.id), "reason": None}
    operation = ids.operation_id(client, None)
    shop.run(messages.command(actor, operation, client, ids.fingerprint(actor, request), request))
    shop.work()
    return shop.outcome(operation)


def open_pages(shop):
    return [page for page in shop.ledger()["sessions"] if page["status"] == "open"]


def decline(shop, session):
    shop.pay(session, DECLINED)
    shop.deliver()
    return shop.session(session.id)


def test_a_decline_is_retried_by_the_timer_on_the_page_that_is_still_open(shop):
    session = decline(shop, shop.open_session())
    assert session.status == "failed"
    assert (session.retry_at - session.updated_at).total_seconds() == 60

    shop.pass_time(minutes=1)
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 1)
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


def test_the_buyers_retry_opens_a_new_page_and_closes_the_old_one(shop):
    session = decline(shop, shop.open_session())

    outcome = command(shop, "payment.retry", session, "buyer")

    assert outcome["status"] == 200, outcome
    session = shop.session(session.id)
    assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 2)
    (page,) = open_pages(shop)
    assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]


def test_after_the_limit_the_page_is_closed_and_only_a_grant_helps(shop):
    session = shop.open_session()
    for minutes in (1, 5, 15):
        session = decline(shop, session)
        shop.pass_time(minutes=minutes)
        shop.sweep()
    session = decline(shop, shop.session(session.id))
    shop.sweep()

    session = shop.session(session.id)
    assert (session.status, session.retry_count, session.retry_at) == ("failed", 3, None)
    assert open_pages(shop) == []
    assert shop.snapshot(session)["retry"]["canRetry"] is False
    assert command(shop, "payment.retry", session)["body"]["code"] == "retry_limit_reached"

    assert command(shop, "payment.grant_retry", session, "admin")["status"] == 200
    shop.sweep()
    session = shop.session(session.id)
    assert (session.status, session.retry_count) == ("pending", 4)
    assert len(open_pages(shop)) == 1
