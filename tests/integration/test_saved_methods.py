"""Payment methods that buyers keep: the customer made once, the rows in line with Stripe, listed and dropped."""

import json
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Message

from paywindow import ids, jsons, messages
from paywindow.messages import build
from paywindow.models.tables import CheckoutAttempt, Customer, PaymentMethod, PaymentSession
from paywindow.published import reply_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

CUSTOMERS = "POST /v1/customers"


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(PAYMENT_SAVE_METHODS="true")


@pytest.fixture
def buyer() -> str:
    return str(uuid.uuid4())


def buy(shop: Shop, buyer: str, **options: Any) -> PaymentSession:
    """A purchase of the buyer's, with its events delivered."""
    session = shop.open_session(buyer_id=buyer)
    assert shop.pay(session, **options)["result"] == "succeeded"
    shop.deliver()
    return session


def kept(shop: Shop, buyer: str) -> list[dict[str, Any]]:
    """What ``GET /payments/methods`` replies."""
    reply_id = uuid.uuid4()
    shop.run(messages.list_methods(reply_id, uuid.UUID(buyer)))
    outcome = jsons.loads(shop.state.get(reply_key(reply_id)))
    assert outcome["status"] == 200
    found: list[dict[str, Any]] = outcome["body"]["paymentMethods"]
    return found


def detach_message(method_id: str, buyer: str, key: str) -> Message[Any]:
    """The message that the front end would enqueue."""
    request = {"method_id": method_id, "buyer_id": buyer}
    fingerprint = ids.fingerprint("methods.detach", request)
    return messages.detach_method(ids.operation_id("shop", key), "shop", fingerprint, request)


def detach(shop: Shop, method_id: str, buyer: str, key: str = "detach-1") -> dict[str, Any]:
    """Send the command and work until it is answered; the outcome."""
    shop.run(detach_message(method_id, buyer, key))
    shop.work()
    return shop.outcome(ids.operation_id("shop", key))


def customer_id(shop: Shop) -> str:
    (row,) = shop.rows(Customer)
    return str(row.stripe_customer_id)


# The customer


def test_a_buyer_becomes_a_customer_before_the_first_page_and_only_once(shop: Shop, buyer: str) -> None:
    first = shop.open_session(buyer_id=buyer, buyer_email="winner@example.com")
    shop.open_session(buyer_id=buyer, buyer_email="winner@example.com")
    shop.open_session()

    ledger = shop.ledger()
    assert ledger["calls"][CUSTOMERS] == 2
    assert [row["email"] for row in ledger["customers"]] == ["winner@example.com", None]
    assert ledger["customers"][0]["metadata"]["buyer_id"] == buyer
    params = jsons.loads(shop.attempt(first).params)
    assert params["customer"] == ledger["customers"][0]["id"]
    assert "customer_email" not in params


def test_without_the_setting_no_customer_is_made(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop()
    session = shop.open_session()

    assert (shop.ledger()["customers"], shop.rows(Customer)) == ([], [])
    assert not {"customer", "saved_payment_method_options"} & jsons.loads(shop.attempt(session).params).keys()


def test_two_first_purchases_at_the_same_moment_make_one_customer(shop: Shop, buyer: str) -> None:
    shop.together(*(shop.create_message(shop.request(buyer_id=buyer)) for _ in range(3)))
    shop.work()
    shop.pass_time(minutes=2)
    shop.sweep()

    assert len(shop.ledger()["customers"]) == 1
    assert len(shop.rows(Customer)) == 1
    assert {jsons.loads(row.params)["customer"] for row in shop.rows(CheckoutAttempt)} == {customer_id(shop)}
    assert {row.status for row in shop.rows(CheckoutAttempt)} == {"open"}


@pytest.mark.parametrize("kind", ["timeout_after_work", "500_after_work"])
def test_a_reply_that_is_lost_leads_to_the_same_customer(shop: Shop, buyer: str, kind: str) -> None:
    shop.fault(kind, times=2, method="POST", path_prefix="/v1/customers")
    message = shop.create_message(shop.request(buyer_id=buyer))
    with pytest.raises(Exception, match=r".+"):
        shop.run(message)

    for _ in range(4):
        shop.pass_time(minutes=5)
        shop.sweep()

    assert len(shop.ledger()["customers"]) == 1
    (attempt,) = shop.rows(CheckoutAttempt)
    assert attempt.status == "open"
    if kind == "timeout_after_work":
        assert jsons.loads(attempt.params)["customer"] == customer_id(shop)
    else:  # a 500 is replayed under its key: paying does not wait for a convenience
        assert "customer" not in jsons.loads(attempt.params)


def test_a_customer_is_looked_for_once_stripe_may_have_forgotten_its_key(shop: Shop, buyer: str) -> None:
    shop.fault("500_after_work", times=1, method="POST", path_prefix="/v1/customers")
    with pytest.raises(Exception, match=r".+"):
        shop.run(shop.create_message(shop.request(buyer_id=buyer, window_minutes=4000)))
    assert customer_id(shop) == "None"

    shop.pass_time(hours=25)
    shop.open_session(buyer_id=buyer)

    (made,) = shop.ledger()["customers"]
    assert customer_id(shop) == made["id"]


def test_a_page_opens_without_a_customer_where_stripe_refuses_to_make_one(shop: Shop, buyer: str) -> None:
    # Given: an address that is too long for a customer, though not for a page
    address = f"{'winner' * 100}@example.com"
    session = shop.open_session(buyer_id=buyer, buyer_email=address)

    params = jsons.loads(shop.attempt(session).params)
    assert params["customer_email"] == address
    assert not {"customer", "saved_payment_method_options"} & params.keys()
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


def test_another_address_of_the_buyer_is_given_to_the_customer(shop: Shop, buyer: str) -> None:
    shop.open_session(buyer_id=buyer, buyer_email="old@example.com")
    shop.open_session(buyer_id=buyer, buyer_email="new@example.com")
    shop.deliver()

    assert [row["email"] for row in shop.ledger()["customers"]] == ["new@example.com"]
    assert [row.email for row in shop.rows(Customer)] == ["new@example.com"]


@pytest.mark.parametrize("told", [True, False])
def test_a_customer_that_was_deleted_at_stripe_is_made_anew(shop: Shop, buyer: str, told: bool) -> None:
    buy(shop, buyer, save=True)
    shop.control(f"customers/{customer_id(shop)}/delete")
    if told:
        shop.deliver()
        assert kept(shop, buyer) == []

    session = shop.open_session(buyer_id=buyer)

    old, new = shop.rows(Customer)
    assert (old.deleted_at is None, new.deleted_at is None) == (False, True)
    assert jsons.loads(shop.attempt(session).params)["customer"] == new.stripe_customer_id != old.stripe_customer_id
    assert kept(shop, buyer) == []
    shop.pay(session)
    shop.deliver()
    assert shop.session(session.id).status == "completed"


# Keeping


def test_a_card_that_the_buyer_keeps_is_listed_and_offered_on_the_next_page(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, card="5555555555554444", save=True)

    (method,) = kept(shop, buyer)
    assert (method["buyerId"], method["type"], method["isDefault"]) == (buyer, "card", True)
    assert method["metadata"] == {
        "brand": "mastercard",
        "last4": "4444",
        "expMonth": 12,
        "expYear": 2040,
        "stripeType": "card",
    }
    again = buy(shop, buyer, saved=method["stripePaymentMethodId"])
    assert shop.session(again.id).status == "completed"
    (paid,) = shop.transactions(again)
    assert (paid.card_brand, paid.card_last4) == ("mastercard", "4444")
    assert len(kept(shop, buyer)) == 1


def test_a_card_that_the_buyer_does_not_keep_is_not_listed(shop: Shop, buyer: str) -> None:
    buy(shop, buyer)

    assert kept(shop, buyer) == []


def test_nobody_sees_what_another_buyer_keeps(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)

    assert kept(shop, str(uuid.uuid4())) == []
    (method,) = kept(shop, buyer)
    assert detach(shop, method["id"], str(uuid.uuid4()))["status"] == 404
    assert len(kept(shop, buyer)) == 1


@pytest.mark.parametrize(
    ("options", "kind", "brand", "last4"),
    [
        ({"wallet": "apple_pay"}, "applePay", "visa", "4242"),
        ({"wallet": "google_pay"}, "googlePay", "visa", "4242"),
        ({"method": "us_bank_account"}, "bankTransfer", "STRIPE TEST BANK", "6789"),
    ],
)
def test_wallets_and_bank_accounts_are_kept_by_their_kind(
    make_shop: Callable[..., Shop], buyer: str, options: dict[str, str], kind: str, brand: str, last4: str
) -> None:
    shop = make_shop(PAYMENT_SAVE_METHODS="true", PAYMENT_METHOD_TYPES="card,us_bank_account")
    shop.pay(shop.open_session(buyer_id=buyer), save=True, **options)
    shop.deliver()

    (method,) = kept(shop, buyer)
    assert (method["type"], method["metadata"]["brand"], method["metadata"]["last4"]) == (kind, brand, last4)


def test_the_default_is_stripes_or_else_the_newest(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)
    shop.pass_time(minutes=1)
    buy(shop, buyer, card="378282246310005", save=True)
    newest, oldest = kept(shop, buyer)
    assert (newest["metadata"]["last4"], newest["isDefault"], oldest["isDefault"]) == ("0005", True, False)

    shop.control(f"customers/{customer_id(shop)}/default", method=oldest["stripePaymentMethodId"])
    shop.deliver()
    assert [method["isDefault"] for method in kept(shop, buyer)] == [False, True]

    shop.control(f"methods/{oldest['stripePaymentMethodId']}/detach")
    shop.deliver()
    assert [method["isDefault"] for method in kept(shop, buyer)] == [True]


@pytest.mark.parametrize("automatically", [True, False])
def test_a_renewed_card_shows_its_new_expiry(shop: Shop, buyer: str, automatically: bool) -> None:
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)

    path = f"methods/{method['stripePaymentMethodId']}/renew"
    shop.control(path, month=3, year=2047, automatically=automatically)
    shop.deliver()

    (renewed,) = kept(shop, buyer)
    assert (renewed["id"], renewed["metadata"]["expMonth"], renewed["metadata"]["expYear"]) == (method["id"], 3, 2047)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_the_order_and_number_of_the_events_does_not_matter(shop: Shop, buyer: str, order: tuple[int, ...]) -> None:
    # Given: two cards, of which one is renewed and the other detached; none of it was told yet
    buy(shop, buyer)
    first, second = (shop.control(f"customers/{customer_id(shop)}/methods", card=card) for card in CARDS)
    shop.deliver()
    assert len(kept(shop, buyer)) == 2
    shop.control(f"methods/{first['id']}/renew", month=5, year=2050)
    shop.control(f"methods/{second['id']}/detach")
    attached, renewed, detached = [event for event in shop.events() if event["type"].startswith("payment_method.")][-3:]

    for number in order:
        shop.deliver_event({**(attached, renewed, detached)[number], "id": f"evt_again_{number}"}, times=2)
        shop.work()

    (left,) = kept(shop, buyer)
    assert (left["stripePaymentMethodId"], left["metadata"]["expYear"]) == (first["id"], 2050)


CARDS = ("4242424242424242", "5555555555554444")


def test_an_older_look_at_stripe_is_not_written_over_a_newer_one(shop: Shop, buyer: str) -> None:
    # Given: a refresh that has read Stripe, and whose reply is held
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)
    customer = shop.rows(Customer)[0]
    shop.fault("hold_reply", method="GET", path_prefix=f"/v1/customers/{customer.stripe_customer_id}/payment_methods")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(shop.run, build("methods.refresh", customer_id=str(customer.id)))
        shop.await_hold()

        # When: the method is detached before the reply comes
        shop.run(detach_message(method["id"], buyer, "detach-1"))
        shop.control("holds/release")
        late.result()

    assert kept(shop, buyer) == []


def test_customers_and_methods_of_other_programs_are_none_of_ours(shop: Shop, buyer: str) -> None:
    buy(shop, buyer)
    stranger = {"id": "pm_1", "object": "payment_method", "customer": "cus_stranger", "type": "card", "created": 1}
    for kind, subject in (
        ("payment_method.attached", stranger),
        ("customer.updated", {"id": "cus_stranger", "object": "customer"}),
        ("customer.deleted", {"id": "cus_stranger", "object": "customer"}),
    ):
        shop.control("events", type=kind, object=subject)
    shop.deliver()

    verdicts = shop.verdicts()
    assert {verdicts[kind] for kind in ("payment_method.attached", "customer.updated", "customer.deleted")} == {
        "foreign"
    }
    assert shop.rows(PaymentMethod) == []


def test_no_card_number_is_anywhere(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)

    assert "4242424242424242" not in json.dumps(shop.fingerprint(), default=str)


# Dropping


def test_a_dropped_method_is_gone_at_stripe_too(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)

    outcome = detach(shop, method["id"], buyer)

    assert outcome["status"] == 200
    assert outcome["body"]["paymentMethod"] == {**method, "isDefault": False}
    assert kept(shop, buyer) == []
    assert [row["customer"] for row in shop.ledger()["payment_methods"]] == [None]
    shop.deliver()
    assert kept(shop, buyer) == []


def test_a_method_dropped_twice_is_dropped_once(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)

    first = detach(shop, method["id"], buyer, "one")
    second = detach(shop, method["id"], buyer, "two")

    assert (first["status"], second["status"], second["body"]) == (200, 200, first["body"])
    assert shop.ledger()["calls"]["POST /v1/payment_methods/{method}/detach"] == 1


def test_a_method_that_the_buyer_removed_on_the_page_can_still_be_dropped(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)
    shop.control(f"methods/{method['stripePaymentMethodId']}/detach")

    assert detach(shop, method["id"], buyer)["status"] == 200
    assert kept(shop, buyer) == []


def test_a_drop_waits_for_stripe(shop: Shop, buyer: str) -> None:
    buy(shop, buyer, save=True)
    (method,) = kept(shop, buyer)
    shop.fault("500", times=2, path_prefix="/v1/payment_methods")
    with pytest.raises(Exception, match=r".+"):
        detach(shop, method["id"], buyer)
    assert len(kept(shop, buyer)) == 1

    shop.pass_time(minutes=2)
    shop.sweep()

    assert shop.outcome(ids.operation_id("shop", "detach-1"))["status"] == 200
    assert kept(shop, buyer) == []


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_the_rows_end_as_stripe_has_it(shop: Shop, buyer: str, seed: int) -> None:
    chance = random.Random(seed)
    buy(shop, buyer)
    customer = customer_id(shop)
    for _ in range(8):
        mine = [row for row in shop.ledger()["payment_methods"] if row["customer"] == customer]
        step = chance.choice(["add", "renew", "drop", "default"]) if mine else "add"
        chosen = chance.choice(mine)["id"] if mine else ""
        if step == "add":
            shop.control(f"customers/{customer}/methods", card=chance.choice(CARDS))
        elif step == "renew":
            shop.control(f"methods/{chosen}/renew", month=chance.randint(1, 12), year=2041)
        elif step == "drop":
            shop.control(f"methods/{chosen}/detach")
        else:
            shop.control(f"customers/{customer}/default", method=chosen)
        if chance.random() < 0.4:
            shop.deliver(shuffled_by=chance)
    shop.deliver(shuffled_by=chance)

    at_stripe = {row["id"] for row in shop.ledger()["payment_methods"] if row["customer"] == customer}
    assert {method["stripePaymentMethodId"] for method in kept(shop, buyer)} == at_stripe
    assert sum(method["isDefault"] for method in kept(shop, buyer)) == bool(at_stripe)
