"""What is asked of Stripe for a Checkout page, and what is read from its answers."""

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest
from stripe.params.checkout import SessionCreateParams

from paywindow.checkout import (
    SHORTEST_PAGE,
    freeze_params,
    named_in,
    needs_customer,
    read_checkout,
    without_saving,
)
from paywindow.errors import Permanent

AT = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


def frozen(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "session_id": "session-1",
        "attempt_number": 1,
        "auction_id": "auction-1",
        "buyer_id": "buyer-1",
        "amount_minor": 27550,
        "currency": "USD",
        "description": "Walnut side table",
        "buyer_email": "winner@example.com",
        "locale": "de",
        "success_url": "https://shop.example/won",
        "cancel_url": "https://shop.example/back",
        "method_types": ("card",),
        "save_methods": False,
        "window_ends": AT + timedelta(hours=24),
        "at": AT,
        **changes,
    }
    return freeze_params(**values)


def page(**changes: Any) -> dict[str, Any]:
    return {
        "id": "cs_1",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 27550,
        "currency": "usd",
        "expires_at": 1769942400,
        "metadata": {"payment_session_id": "session-1", "attempt": "2"},
        "payment_intent": "pi_1",
        **changes,
    }


def test_the_price_is_one_line_in_the_currency_of_the_auction() -> None:
    (line,) = frozen()["line_items"]

    assert line == {
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 27550, "product_data": {"name": "Walnut side table"}},
    }


def test_the_metadata_is_on_the_session_and_on_the_payment_intent() -> None:
    params = frozen(attempt_number=2)

    expected = {
        "payment_session_id": "session-1",
        "attempt": "2",
        "auction_id": "auction-1",
        "buyer_id": "buyer-1",
    }
    assert params["metadata"] == expected
    assert params["payment_intent_data"]["metadata"] == expected
    assert params["client_reference_id"] == "session-1"


def test_the_buyer_pays_by_card_in_the_auctions_currency() -> None:
    params = frozen()

    assert params["allowed_payment_method_types"] == ["card"]
    assert params["adaptive_pricing"] == {"enabled": False}


def test_nothing_reopens_a_closed_window() -> None:
    assert "after_expiration" not in frozen()


def test_a_full_default_window_leaves_its_end_to_stripe() -> None:
    assert "expires_at" not in frozen()


def test_a_shorter_window_ends_when_it_ends() -> None:
    assert frozen(window_ends=AT + timedelta(hours=2))["expires_at"] == int((AT + timedelta(hours=2)).timestamp())


@pytest.mark.parametrize("minutes", [-5, 0, 5, 30])
def test_a_page_never_ends_sooner_than_stripe_allows(minutes: int) -> None:
    asked = frozen(window_ends=AT + timedelta(minutes=minutes))["expires_at"]

    assert asked == int((AT + SHORTEST_PAGE).timestamp())


def test_what_was_not_given_is_not_sent() -> None:
    params = frozen(description=None, buyer_email=None, locale=None, cancel_url=None)

    assert not {"cancel_url", "customer_email", "locale"} & set(params)
    assert params["line_items"][0]["price_data"]["product_data"]["name"] == "Auction win"


def test_the_same_attempt_always_gives_the_same_parameters() -> None:
    assert frozen() == frozen()


def test_every_parameter_is_one_that_the_sdk_knows() -> None:
    params = frozen(window_ends=AT + timedelta(hours=2))

    assert set(params) <= set(inspect.get_annotations(SessionCreateParams))
    assert set(params["payment_intent_data"]) <= set(get_type_hints(_intent_data()))


def _intent_data() -> Any:
    from stripe.params.checkout._session_create_params import SessionCreateParamsPaymentIntentData

    return SessionCreateParamsPaymentIntentData


def test_a_page_with_its_payment_unexpanded_tells_the_payments_id() -> None:
    read = read_checkout(page())

    assert (read.payment_intent_id, read.charge, read.payment_failed) == ("pi_1", None, False)
    assert (read.session_id, read.attempt_number, read.currency) == ("session-1", 2, "USD")
    assert read.paid


def test_a_page_with_its_payment_expanded_tells_when_the_money_was_taken() -> None:
    charge = {
        "id": "ch_1",
        "status": "succeeded",
        "amount": 27550,
        "created": 1769856000,
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}},
    }
    read = read_checkout(page(payment_intent={"id": "pi_1", "status": "succeeded", "latest_charge": charge}))

    assert read.payment_intent_id == "pi_1"
    assert read.charge is not None
    assert (read.charge.succeeded, read.charge.card_brand, read.charge.card_last4) == (True, "visa", "4242")
    assert read.charge.created == datetime(2026, 1, 31, 10, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "payment_status", "intent", "paid", "awaiting"),
    [
        ("open", "unpaid", None, False, False),
        ("complete", "paid", "pi_1", True, False),
        ("complete", "unpaid", "pi_1", False, True),
        ("complete", "unpaid", {"id": "pi_1", "status": "processing"}, False, True),
        ("complete", "unpaid", {"id": "pi_1", "status": "requires_payment_method"}, False, False),
        ("expired", "unpaid", None, False, False),
        ("expired", "unpaid", {"id": "pi_1", "status": "canceled"}, False, False),
        ("open", "paid", "pi_1", False, False),
    ],
)
def test_complete_is_not_paid(status: str, payment_status: str, intent: Any, paid: bool, awaiting: bool) -> None:
    read = read_checkout(page(status=status, payment_status=payment_status, payment_intent=intent))

    assert (read.paid, read.awaiting_money) == (paid, awaiting)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"object": "event"},
        page(amount_total=None),
        page(expires_at="soon"),
        page(currency=None),
        page(payment_intent={"id": "pi_1", "latest_charge": {"id": "ch_1"}}),
    ],
)
def test_what_is_not_a_checkout_session_is_refused_for_good(broken: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match="not a Checkout Session"):
        read_checkout(broken)


@pytest.mark.parametrize("attempt", ["first", "", "-1", "1.5", "²", "9" * 100, None])
def test_metadata_of_other_programs_names_no_attempt(attempt: Any) -> None:
    assert named_in({"metadata": {"attempt": attempt}}) == (None, None)
    assert named_in({"metadata": None}) == named_in({}) == (None, None)


def test_a_page_that_keeps_methods_needs_a_customer_and_takes_no_address() -> None:
    params = frozen(save_methods=True)

    assert "customer_email" not in params
    assert needs_customer(params)
    assert not needs_customer({**params, "customer": "cus_1"})
    assert not needs_customer(frozen())


@pytest.mark.parametrize("buyer_email", ["winner@example.com", None])
def test_without_a_customer_the_page_is_what_it_would_have_been(buyer_email: str | None) -> None:
    params = {**frozen(save_methods=True, buyer_email=buyer_email), "customer": "cus_1"}

    assert without_saving(params, buyer_email) == frozen(buyer_email=buyer_email)
