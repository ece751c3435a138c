"""Money that comes in on a page which was replaced meanwhile."""

from dataclasses import replace

from paywindow import clock, jsons
from paywindow.actors import payment
from paywindow.actors.pages import claim_attempt
from paywindow.checkout import read_checkout
from paywindow.models import attempts
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.tables import CheckoutAttempt, PaymentSession


def test_the_page_that_took_its_place_is_closed(shop):
    session = shop.open_session()
    replaced = shop.checkout_id(session)
    shop.pay(session)
    # Its successor is open as well, although a page is always closed before it is replaced: nothing may depend on that.
    successor = open_another_page(session)

    with transaction():
        page = read_checkout(payment.runtime().gateway.retrieve_checkout(replaced))
        payment.record_payment(page, Cause("test", clock.now()))
    shop.work()

    assert shop.session(session.id).status == "completed"
    assert {page["id"]: page["status"] for page in shop.ledger()["sessions"]}[successor] == "expired"


def open_another_page(session):
    with transaction():
        PaymentSession.update(attempt_number=2).where(PaymentSession.id == session.id).execute()
        attempt = claim_attempt(PaymentSession.get_by_id(session.id), "retry", clock.now())
    gateway = payment.runtime().gateway
    page = read_checkout(gateway.create_checkout(jsons.loads(attempt.params), attempt.idempotency_key))
    with transaction():
        attempts.attach(attempt, page)
    return page.id


def test_a_canceled_session_that_is_submitted_waits_for_the_money_and_leaves_its_auction_free(shop):
    session = shop.open_session()
    page = read_checkout(payment.runtime().gateway.retrieve_checkout(shop.checkout_id(session)))
    assert shop.cancel(session)["status"] == 200
    submitted = replace(page, status="complete", payment_status="unpaid", payment_intent_id="pi_late", confirming=True)
    with transaction():
        CheckoutAttempt.update(status="open").where(CheckoutAttempt.session == session.id).execute()

    with transaction():
        payment.record_payment(submitted, Cause("test", clock.now()))

    session = shop.session(session.id)
    assert (session.status, session.hold_reason) == ("canceled", None)
    assert session.released_at is not None
