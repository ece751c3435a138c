"""Rows that are read and inserted by SQL whose text is made once are the same as Peewee's own."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from peewee import DoesNotExist, IntegrityError

from paywindow.models import database as db
from paywindow.models.tables import CheckoutAttempt, Notification, PaymentSession, StripeEvent, Transition

if TYPE_CHECKING:
    from conftest import Shop

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_inserted_row_is_read_back_as_it_was_given(shop: "Shop") -> None:
    session = shop.open_session()
    with db.transaction():
        ours = PaymentSession.get_by_id(session.id)
        theirs = PaymentSession.select().where(PaymentSession.id == session.id).get()
        assert ours.__data__ == theirs.__data__
        assert isinstance(ours.id, uuid.UUID), "values are Python's own"
        assert ours.created_at.tzinfo is not None


def test_a_row_belongs_to_the_row_that_it_was_created_with(shop: "Shop") -> None:
    session = shop.open_session()
    with db.transaction():
        (attempt,) = CheckoutAttempt.read_all("WHERE session_id = %s", session.id)
        assert attempt.session_id == session.id
        assert attempt.session.id == session.id


def _event(event_id: str) -> StripeEvent:
    return StripeEvent.create(id=event_id, type="ping", livemode=False, stripe_created_at=AT, received_at=AT)


def test_defaults_are_written_with_a_new_row(shop: "Shop") -> None:
    del shop
    with db.transaction():
        _event("evt_new")
        read = StripeEvent.get_by_id("evt_new")
    assert (read.type, read.received_at, read.tries) == ("ping", AT, 0)


def test_a_row_whose_key_postgres_gives_is_inserted_too(shop: "Shop") -> None:
    session = shop.open_session()
    before = len(shop.transitions(session))
    with db.transaction():
        Transition.create(
            session=session.id,
            version=session.version + 1,
            attempt_number=1,
            event="touched",
            from_status="pending",
            to_status="pending",
            who="system:test",
            at=AT,
        )
    assert len(shop.transitions(session)) == before + 1


def test_a_row_that_was_just_created_can_be_changed_and_saved(shop: "Shop") -> None:
    del shop
    with db.transaction():
        row = _event("evt_new")
        row.received_at = AT + timedelta(hours=1)
        row.save()
        assert StripeEvent.get_by_id("evt_new").received_at == AT + timedelta(hours=1)
        assert StripeEvent.select().count() == 1


def test_what_is_not_there_is_none_by_clause_and_an_error_by_key(shop: "Shop") -> None:
    del shop
    nobody = uuid.uuid4()
    with db.transaction():
        assert PaymentSession.read_one("WHERE id = %s", nobody) is None
        assert StripeEvent.read_all("WHERE payment_intent_id = %s", "pi_none") == []
        with pytest.raises(DoesNotExist, match=str(nobody)):
            PaymentSession.get_by_id(nobody)


def test_postgres_rules_hold_for_such_an_insert(shop: "Shop") -> None:
    session = shop.open_session()
    with pytest.raises(IntegrityError), db.transaction():
        Notification.create(
            id=uuid.uuid4(), session=uuid.uuid4(), type="payment.completed", payload="{}", created_at=AT
        )
    with db.transaction():
        assert PaymentSession.get_by_id(session.id).version == session.version


def test_a_row_is_changed_by_its_key_and_no_other_is(shop: "Shop") -> None:
    del shop
    with db.transaction():
        _event("evt_one")
        _event("evt_other")
        StripeEvent.change("evt_one", tries=7, next_try_at=AT + timedelta(hours=1))
        assert (StripeEvent.get_by_id("evt_one").tries, StripeEvent.get_by_id("evt_other").tries) == (7, 0)


def test_a_row_is_inserted_once_and_what_is_returned_is_what_was_written(shop: "Shop") -> None:
    del shop
    values = {"id": "evt_new", "type": "ping", "livemode": False, "stripe_created_at": AT, "received_at": AT}
    with db.transaction():
        first = StripeEvent.create_if_new(**values)
        assert first is not None
        assert StripeEvent.create_if_new(**values) is None
        read = StripeEvent.get_by_id("evt_new")
    assert first.__data__.items() <= read.__data__.items()
