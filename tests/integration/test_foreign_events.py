"""Events that are not about our payments: kept with their verdict for review, and never believed."""

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from paywindow.models import database as db
from paywindow.models.tables import CheckoutAttempt, PaymentSession, StripeEvent

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


CARD_SUCCESS = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")


def paid_events(shop: Shop) -> tuple[PaymentSession, list[dict[str, Any]]]:
    """A session paid by card, and Stripe's events of that, in its own order; none is delivered."""
    session = shop.open_session()
    shop.pay(session)
    return session, [event for event in shop.events() if event["type"] in CARD_SUCCESS]


def again(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Another Event object with the same content."""
    return {**event, "id": f"evt_{uuid.uuid4().hex}", **changes}


def alter(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Another Event object, its subject changed."""
    subject = {**event["data"]["object"], **changes}
    return again(event, data={"object": subject})


def row_of(shop: Shop, event: dict[str, Any]) -> StripeEvent:
    """The event's row in the inbox."""
    (row,) = shop.rows(StripeEvent, StripeEvent.id == event["id"])
    return row


FOREIGN: dict[str, Callable[[Shop, dict[str, Any]], dict[str, Any]]] = {
    "a page of another program": lambda shop, event: alter(event, id="cs_test_other", metadata={}),
    "a page that claims to be ours": lambda shop, event: alter(event, id="cs_test_other"),
    "a page that names nonsense": lambda shop, event: alter(
        event, id="cs_test_other", metadata={"payment_session_id": "7", "attempt": "first"}
    ),
    "a page without an amount": lambda shop, event: alter(
        event, id="cs_test_other", metadata={}, mode="setup", amount_total=None, currency=None, payment_intent=None
    ),
    "an event of a connected account": lambda shop, event: again(event, account="acct_seller"),
    "an event of the other mode": lambda shop, event: again(event, livemode=True),
}


@pytest.mark.parametrize("kind", ["checkout.session.completed", "checkout.session.expired"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_ours_is_kept_with_its_verdict_and_changes_nothing(shop: Shop, name: str, kind: str) -> None:
    session, _ = paid_events(shop)
    before = shop.session(session.id)
    event = {**FOREIGN[name](shop, shop.event("checkout.session.completed")), "type": kind}

    shop.deliver_event(event)
    shop.work()

    row = row_of(shop, event)
    assert (row.verdict, row.tries) == ("foreign", 0)
    assert json.loads(row.body) == event
    assert shop.session(session.id).__data__ == before.__data__
    assert shop.transactions(session) == []


@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "payment_intent.payment_failed", "charge.succeeded"])
def test_a_payment_that_was_not_made_on_our_page_changes_nothing_whatever_its_metadata_says(
    shop: Shop, kind: str
) -> None:
    session, events = paid_events(shop)
    before = shop.session(session.id)
    if kind == "charge.succeeded":
        event = alter(events[1], payment_intent="pi_elsewhere")
    else:
        event = {**alter(events[2], id="pi_elsewhere"), "type": kind}
    shop.deliver_event(event)
    shop.work()

    for _ in range(4):
        shop.pass_time(seconds=11)
        shop.sweep()

    assert (row_of(shop, event).verdict, row_of(shop, event).tries) == ("foreign", 0)
    assert shop.session(session.id).__data__ == before.__data__
    assert shop.transactions(session) == []


def test_a_payment_that_names_an_attempt_without_a_page_is_foreign(shop: Shop) -> None:
    session, events = paid_events(shop)
    with db.transaction():
        CheckoutAttempt.update(status="refused", stripe_checkout_id=None).where(
            CheckoutAttempt.session == session.id
        ).execute()
    shop.deliver_event(events[2])
    shop.work()

    shop.pass_time(minutes=1)
    shop.sweep()

    assert row_of(shop, events[2]).verdict == "foreign"


def test_an_event_of_an_unknown_type_is_kept_for_review(shop: Shop) -> None:
    _, events = paid_events(shop)
    event = again(events[0], type="invoice.paid")

    shop.deliver_event(event)
    shop.work()

    row = row_of(shop, event)
    assert (row.verdict, row.type) == ("unknown_type", "invoice.paid")
    assert json.loads(row.body) == event
