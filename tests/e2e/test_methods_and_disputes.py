"""A buyer who comes again, and one who disputes: over HTTP, through real processes."""

from typing import Any
from uuid import uuid4


def test_a_card_that_is_kept_is_listed_pays_again_and_is_dropped(shop: Any, until: Any) -> None:
    buyer = str(uuid4())
    first = shop.open_session(buyerId=buyer)
    assert shop.stripe.pay(shop.checkout_id(first), save=True)["result"] == "succeeded"

    (method,) = until(lambda: kept(shop, buyer), "the kept card")
    assert (method["type"], method["isDefault"]) == ("card", True)
    assert (method["metadata"]["brand"], method["metadata"]["last4"]) == ("visa", "4242")

    again = shop.open_session(buyerId=buyer)
    shop.stripe.pay(shop.checkout_id(again), saved=method["stripePaymentMethodId"])
    shop.await_status(again, "completed")

    dropped = shop.call("DELETE", f"/payments/methods/{method['id']}?buyerId={buyer}")
    assert (dropped.status_code, dropped.json()["paymentMethod"]["id"]) == (200, method["id"])
    assert kept(shop, buyer) == []


def test_a_dispute_is_shown_with_its_deadline_until_it_is_won(shop: Any, until: Any) -> None:
    created = shop.open_session()
    charge = shop.stripe.pay(shop.checkout_id(created))["charge"]
    shop.await_status(created, "completed")

    opened = shop.stripe.dispute(charge)
    dispute = until(lambda: shown(shop, created), "the dispute")
    assert (dispute["stripeDisputeId"], dispute["reason"]) == (opened["id"], "fraudulent")
    assert dispute["evidenceDueBy"] is not None

    shop.stripe.move_dispute(opened["id"], "win")
    until(lambda: shown(shop, created)["status"] == "won", "the end of the dispute")
    assert shop.await_status(created, "completed")["transaction"]["status"] == "succeeded"


def kept(shop: Any, buyer: str) -> Any:
    """What the buyer keeps."""
    return shop.call("GET", f"/payments/methods?buyerId={buyer}").json()["paymentMethods"]


def shown(shop: Any, created: Any) -> Any:
    """The dispute in the status answer."""
    path = f"/payments/checkout/{created['paymentSession']['id']}/status"
    return (shop.call("GET", path).json()["transaction"] or {}).get("dispute")
