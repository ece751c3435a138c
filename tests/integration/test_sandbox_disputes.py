"""Disputes in the sandbox, through the real SDK: what they take, what they give back, and what Stripe tells of it."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

AMOUNT, FEE = 27_550, 1_500


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig()) as server:
        yield server


@pytest.fixture(scope="module")
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_disputes", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    found = ControlClient(sandbox.url)
    found.call("POST", "/reset")
    return found


def pay(client: stripe.StripeClient, control: ControlClient, card: str = "4242424242424242") -> str:
    """Pay a new session; the charge's id."""
    price: Any = {"currency": "usd", "unit_amount": AMOUNT, "product_data": {"name": "Lot 7"}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "line_items": [{"quantity": 1, "price_data": price}],
        }
    )
    return str(control.pay(session.id, card)["charge"])


def told(client: stripe.StripeClient) -> list[str]:
    """The types of the events about disputes, oldest first, without what all share."""
    found = client.v1.events.list({"limit": 100, "types": ["charge.dispute.*"]}).data
    return [event.type.removeprefix("charge.dispute.") for event in reversed(found)]


def balance(control: ControlClient) -> int:
    """What the platform has."""
    return int(control.call("GET", "/ledger")["balance"].get("usd", 0))


def test_a_chargeback_takes_the_amount_and_a_fee(client: stripe.StripeClient, control: ControlClient) -> None:
    charge = pay(client, control)

    dispute = control.dispute(charge)

    assert (dispute["status"], dispute["is_charge_refundable"]) == ("needs_response", False)
    assert dispute["evidence_details"]["due_by"] == dispute["created"] + 9 * 24 * 3600
    (entry,) = dispute["balance_transactions"]
    assert (entry["amount"], entry["fee"], entry["net"]) == (-AMOUNT, FEE, -AMOUNT - FEE)
    assert balance(control) == -AMOUNT - FEE
    assert client.v1.charges.retrieve(charge).disputed is True
    assert told(client) == ["created", "funds_withdrawn"]


def test_winning_brings_back_the_amount_only(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control))
    control.move_dispute(dispute["id"], "review")

    won = control.move_dispute(dispute["id"], "win")

    assert (won["status"], [entry["amount"] for entry in won["balance_transactions"]]) == ("won", [-AMOUNT, AMOUNT])
    assert balance(control) == -FEE
    assert told(client) == ["created", "funds_withdrawn", "updated", "funds_reinstated", "closed"]


def test_losing_brings_back_nothing(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control))

    assert control.move_dispute(dispute["id"], "lose")["status"] == "lost"
    assert balance(control) == -AMOUNT - FEE
    assert told(client)[-1] == "closed"


def test_a_loss_may_be_turned_round(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control))
    control.move_dispute(dispute["id"], "lose")

    assert control.move_dispute(dispute["id"], "win")["status"] == "won"
    assert balance(control) == -FEE


def test_an_inquiry_takes_nothing_and_ends(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control), inquiry=True)
    assert (dispute["status"], dispute["balance_transactions"]) == ("warning_needs_response", [])

    control.move_dispute(dispute["id"], "review")
    assert control.move_dispute(dispute["id"], "close")["status"] == "warning_closed"
    assert (balance(control), told(client)) == (0, ["created", "updated", "closed"])


def test_an_inquiry_may_escalate(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control), inquiry=True)

    escalated = control.move_dispute(dispute["id"], "escalate")

    assert (escalated["status"], escalated["is_charge_refundable"]) == ("needs_response", False)
    assert (balance(control), told(client)) == (-AMOUNT - FEE, ["created", "updated", "funds_withdrawn"])


@pytest.mark.parametrize(
    ("card", "reason", "status"),
    [
        ("4000000000000259", "fraudulent", "needs_response"),
        ("4000000000002685", "product_not_received", "needs_response"),
        ("4000000000001976", "fraudulent", "warning_needs_response"),
    ],
)
def test_the_test_cards_dispute_what_they_pay(
    client: stripe.StripeClient, control: ControlClient, card: str, reason: str, status: str
) -> None:
    charge = pay(client, control, card)

    (dispute,) = client.v1.disputes.list({"charge": charge}).data
    assert (dispute.reason, dispute.status, dispute.amount) == (reason, status, AMOUNT)


def test_a_disputed_charge_is_refunded_only_while_it_is_an_inquiry_or_once_it_is_won(
    client: stripe.StripeClient, control: ControlClient
) -> None:
    charge = pay(client, control)
    dispute = control.dispute(charge, inquiry=True)
    client.v1.refunds.create({"charge": charge, "amount": 1_000})
    control.move_dispute(dispute["id"], "escalate")

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": charge, "amount": 1_000})
    assert refused.value.code == "charge_disputed"

    control.move_dispute(dispute["id"], "win")
    client.v1.refunds.create({"charge": charge, "amount": 1_000})


def test_evidence_is_handed_in_over_the_api(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control))

    staged = client.v1.disputes.update(dispute["id"], {"evidence": {"product_description": "A table"}, "submit": False})
    assert (staged.status, staged.evidence_details.has_evidence) == ("needs_response", True)
    sent = client.v1.disputes.update(dispute["id"], {"evidence": {"uncategorized_text": "Delivered on Monday"}})
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)


def test_a_dispute_can_be_accepted_over_the_api(client: stripe.StripeClient, control: ControlClient) -> None:
    dispute = control.dispute(pay(client, control))

    assert client.v1.disputes.close(dispute["id"]).status == "lost"


def test_a_part_of_a_charge_may_be_disputed(client: stripe.StripeClient, control: ControlClient) -> None:
    assert control.dispute(pay(client, control), amount=5_000)["amount"] == 5_000
    assert balance(control) == -5_000 - FEE
