"""Refunds in the sandbox, through the real SDK: amounts, states, events, refusals, and what dashboard and banks do."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe import Refund

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

PAYS = "4242424242424242"
PENDS = "4000000000007726"
FAILS_LATER = "4000000000005126"
AMOUNT = 27_550


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    return tmp_path / "clock"


@pytest.fixture
def sandbox(clock_file: Path) -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(clock_file=clock_file)) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_refunds", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


def open_session(client: stripe.StripeClient, amount: int = AMOUNT, currency: str = "usd") -> str:
    price: Any = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Lot 7"}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "line_items": [{"quantity": 1, "price_data": price}],
        }
    )
    return session.id


@pytest.fixture
def paid(client: stripe.StripeClient, control: ControlClient) -> dict[str, Any]:
    return control.pay(open_session(client))


def pay(client: stripe.StripeClient, control: ControlClient, card: str) -> str:
    """Pay a new session; the PaymentIntent's id."""
    return str(control.pay(open_session(client), card)["payment_intent"])


def refund(client: stripe.StripeClient, key: str | None = None, **params: Any) -> Refund:
    return client.v1.refunds.create(params, {"idempotency_key": key} if key else {})  # type: ignore[arg-type]


def refused(client: stripe.StripeClient, **params: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refund(client, **params)
    return caught.value


def events(client: stripe.StripeClient) -> list[stripe.Event]:
    """The events about refunds, oldest first."""
    found = client.v1.events.list({"limit": 100, "types": ["refund.*", "charge.refunded", "charge.refund.updated"]})
    return found.data[::-1]


def kinds(client: stripe.StripeClient) -> list[str]:
    return [event.type for event in events(client)]


# Amounts


def test_a_refund_without_an_amount_gives_all_back(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    made = refund(client, payment_intent=paid["payment_intent"], reason="requested_by_customer", metadata={"row": "1"})
    assert (made.amount, made.status, made.charge) == (AMOUNT, "succeeded", paid["charge"])
    assert (made.reason, made.to_dict()["metadata"]) == ("requested_by_customer", {"row": "1"})
    charge = client.v1.charges.retrieve(paid["charge"])
    assert (charge.amount_refunded, charge.refunded, charge.paid) == (AMOUNT, True, True)
    assert client.v1.payment_intents.retrieve(paid["payment_intent"]).status == "succeeded"


def test_partial_refunds_add_up_and_the_last_takes_the_rest(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    assert refund(client, charge=paid["charge"], amount=10_000).amount == 10_000
    charge = client.v1.charges.retrieve(paid["charge"])
    assert (charge.amount_refunded, charge.refunded) == (10_000, False)
    assert refund(client, charge=paid["charge"]).amount == 17_550
    assert client.v1.charges.retrieve(paid["charge"]).refunded is True


def test_the_balance_gives_the_amount_and_stripe_keeps_its_fee(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    control.release_fees()
    made = refund(client, charge=paid["charge"], expand=["balance_transaction.source", "charge.balance_transaction"])
    expanded = made.to_dict()
    debit, fee = expanded["balance_transaction"], expanded["charge"]["balance_transaction"]["fee"]
    assert (debit["type"], debit["amount"], debit["fee"], debit["net"]) == ("refund", -AMOUNT, 0, -AMOUNT)
    assert debit["source"]["id"] == made.id
    assert fee == 829


def test_a_whole_unit_currency_is_refunded_in_whole_units(client: stripe.StripeClient, control: ControlClient) -> None:
    paid = control.pay(open_session(client, 5_000, "jpy"))
    assert refund(client, charge=paid["charge"], amount=1_200).amount == 1_200
    assert client.v1.charges.retrieve(paid["charge"]).amount_refunded == 1_200


# Refusals


def test_more_than_is_left_is_refused(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    error = refused(client, charge=paid["charge"], amount=AMOUNT + 1)
    assert (error.http_status, error.code, error.param) == (400, None, "amount")
    assert "Refund amount (275.51 USD) is greater than charge amount (275.50 USD)" in str(error)
    refund(client, charge=paid["charge"], amount=20_000)
    error = refused(client, charge=paid["charge"], amount=10_000)
    assert (error.param, error.code) == ("amount", None)
    assert "greater than unrefunded amount on charge (75.50 USD)" in str(error)


@pytest.mark.parametrize("params", [{}, {"amount": 1}])
def test_a_charge_that_is_wholly_refunded_is_refused(
    client: stripe.StripeClient, paid: dict[str, Any], params: dict[str, int]
) -> None:
    refund(client, charge=paid["charge"])
    error = refused(client, charge=paid["charge"], **params)
    assert (error.http_status, error.code) == (400, "charge_already_refunded")


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_are_refused(client: stripe.StripeClient, paid: dict[str, Any], amount: int) -> None:
    error = refused(client, charge=paid["charge"], amount=amount)
    assert (error.code, error.param) == ("parameter_invalid_integer", "amount")


def test_a_payment_that_was_not_made_is_refused(client: stripe.StripeClient, control: ControlClient) -> None:
    declined = control.pay(open_session(client), "4000000000000002")
    waiting = control.pay(open_session(client), "4000000000003220")
    processing = control.pay(open_session(client), method="us_bank_account")
    for params in (
        {"charge": declined["charge"]},
        {"payment_intent": declined["payment_intent"]},
        {"payment_intent": waiting["payment_intent"]},
        {"payment_intent": processing["payment_intent"]},
    ):
        assert "does not have a successful charge to refund" in str(refused(client, **params))


def test_unknown_and_missing_ids_are_refused(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    error = refused(client, charge="ch_none")
    assert (error.http_status, error.code) == (404, "resource_missing")
    error = refused(client, payment_intent="pi_none")
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "payment_intent")
    assert "One of the following params" in str(refused(client, amount=1))
    assert refused(client, charge=paid["charge"], payment_intent=paid["payment_intent"]).param == "payment_intent"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.retrieve("re_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_what_needs_a_transfer_is_refused_without_one(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    error = refused(client, charge=paid["charge"], reverse_transfer=True)
    assert (error.http_status, error.param) == (400, "reverse_transfer")
    assert refused(client, charge=paid["charge"], refund_application_fee=True).param == "refund_application_fee"
    assert refund(client, charge=paid["charge"], reverse_transfer=False, refund_application_fee=False).amount == AMOUNT


def test_parameters_that_are_unknown_or_not_modelled_are_refused(
    client: stripe.StripeClient, paid: dict[str, Any]
) -> None:
    assert refused(client, charge=paid["charge"], colour="red").code == "parameter_unknown"
    assert refused(client, charge=paid["charge"], reason="regret").param == "reason"
    assert refused(client, charge=paid["charge"], origin="customer_balance").code == "sandbox_unsupported"
    assert client.v1.charges.retrieve(paid["charge"]).amount_refunded == 0


def test_twenty_parallel_refunds_never_give_back_more_than_was_paid(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    def attempt(number: int) -> bool:
        try:
            refund(client, f"row-{number}", charge=paid["charge"], amount=10_000)
        except stripe.InvalidRequestError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(attempt, range(20))) == 2
    assert client.v1.charges.retrieve(paid["charge"]).amount_refunded == 20_000
    assert len(control.ledger()["refunds"]) == 2


def test_the_page_offers_the_cards_whose_refunds_take_their_time(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    with urllib.request.urlopen(f"{sandbox.url}/c/pay/{open_session(client)}") as response:
        page = response.read().decode()
    assert PENDS in page
    assert FAILS_LATER in page


# Reading and updating


def test_refunds_are_listed_by_charge_payment_and_time(client: stripe.StripeClient, control: ControlClient) -> None:
    first, second = (control.pay(open_session(client)) for _ in range(2))
    made = [refund(client, charge=first["charge"], amount=100 + number) for number in range(3)]
    other = refund(client, payment_intent=second["payment_intent"])
    newest_first = [item.id for item in reversed(made)]
    assert [item.id for item in client.v1.refunds.list().data] == [other.id, *newest_first]
    assert [item.id for item in client.v1.refunds.list({"charge": first["charge"]}).data] == newest_first
    by_intent = client.v1.refunds.list({"payment_intent": first["payment_intent"], "limit": 2})
    assert ([item.id for item in by_intent.data], by_intent.has_more) == (newest_first[:2], True)
    assert [item.id for item in by_intent.auto_paging_iter()] == newest_first
    assert client.v1.refunds.list({"created": {"gt": other.created + 60}}).data == []
    assert len(client.v1.refunds.list({"created": {"lte": other.created}}).data) == 4


def test_a_charge_shows_its_ten_newest_refunds_when_asked(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    made = [refund(client, charge=paid["charge"], amount=100).id for _ in range(11)]
    assert "refunds" not in client.v1.charges.retrieve(paid["charge"]).to_dict()
    expanded = client.v1.payment_intents.retrieve(
        paid["payment_intent"], {"expand": ["latest_charge.refunds.data.balance_transaction"]}
    ).to_dict()["latest_charge"]["refunds"]
    assert [item["id"] for item in expanded["data"]] == made[:0:-1]
    assert expanded["has_more"] is True
    assert expanded["data"][0]["balance_transaction"]["amount"] == -100
    assert [item["id"] for item in client.raw_request("get", expanded["url"]).data["data"]] == made[:0:-1]


def test_a_refund_is_found_below_its_own_charge_only(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    made = refund(client, charge=paid["charge"])
    other = control.pay(open_session(client))["charge"]
    assert client.raw_request("get", f"/v1/charges/{paid['charge']}/refunds/{made.id}").data["id"] == made.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.raw_request("get", f"/v1/charges/{other}/refunds/{made.id}")
    assert caught.value.http_status == 404


def test_metadata_are_merged_and_told(client: stripe.StripeClient, paid: dict[str, Any]) -> None:
    made = refund(client, charge=paid["charge"], metadata={"row": "1", "old": "x"})
    updated = client.v1.refunds.update(made.id, {"metadata": {"old": "", "new": "y"}})
    assert updated.to_dict()["metadata"] == {"row": "1", "new": "y"}
    event = events(client)[-1].to_dict()
    assert event["type"] == "charge.refund.updated"
    assert event["data"]["previous_attributes"] == {"metadata": {"old": "x", "new": None}}
    assert client.v1.refunds.update(made.id, {"metadata": ""}).to_dict()["metadata"] == {}


# Idempotency


def test_a_key_makes_one_refund_and_replays_it(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    first, again = (refund(client, "row-1", charge=paid["charge"], amount=100) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    assert client.v1.charges.retrieve(paid["charge"]).amount_refunded == 100
    assert [row["idempotency_key"] for row in control.ledger()["refunds"]] == ["row-1"]
    with pytest.raises(stripe.IdempotencyError):
        refund(client, "row-1", charge=paid["charge"], amount=200)


def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    control.fault("timeout_after_work", path_prefix="/v1/refunds")
    with pytest.raises(stripe.APIConnectionError):
        refund(client, "row-1", charge=paid["charge"])
    assert refund(client, "row-1", charge=paid["charge"]).amount == AMOUNT
    assert len(client.v1.refunds.list().data) == 1


# Events


def test_a_refund_that_succeeds_at_once_is_told_in_two_events(
    client: stripe.StripeClient, paid: dict[str, Any]
) -> None:
    refund(client, "row-1", charge=paid["charge"], amount=100)
    created, refunded = (event.to_dict() for event in events(client))
    assert (created["type"], refunded["type"]) == ("refund.created", "charge.refunded")
    assert created["request"]["idempotency_key"] == "row-1"
    assert refunded["data"]["object"]["amount_refunded"] == 100
    assert refunded["data"]["previous_attributes"] == {"amount_refunded": 0}
    refund(client, charge=paid["charge"])
    assert events(client)[-1].to_dict()["data"]["previous_attributes"] == {"amount_refunded": 100, "refunded": False}


def test_the_banks_reference_comes_later(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    made = refund(client, charge=paid["charge"])
    assert "reference" not in made.to_dict()["destination_details"]["card"]
    assert control.settle_refunds() == [made.id]
    assert control.settle_refunds() == []
    assert client.v1.refunds.retrieve(made.id).to_dict()["destination_details"]["card"]["reference"].isdecimal()
    assert kinds(client)[2:] == ["refund.updated", "charge.refund.updated"]
    assert events(client)[-1].to_dict()["data"]["previous_attributes"] == {
        "destination_details": {"card": {"reference": None, "reference_status": "pending"}}
    }


# Pending, failed, canceled


def test_a_slow_card_gets_its_money_later(client: stripe.StripeClient, control: ControlClient) -> None:
    made = refund(client, payment_intent=pay(client, control, PENDS))
    assert (made.status, made.pending_reason) == ("pending", "processing")
    charge = client.v1.charges.retrieve(str(made.charge))
    assert (charge.amount_refunded, charge.refunded) == (AMOUNT, True)
    assert refused(client, charge=charge.id).code == "charge_already_refunded"
    answer = control.succeed_refund(made.id)
    assert answer["status"] == "succeeded"
    assert "pending_reason" not in answer
    assert kinds(client) == ["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"]
    previous = events(client)[-2].to_dict()["data"]["previous_attributes"]
    assert (previous["status"], previous["pending_reason"]) == ("pending", "processing")


def test_a_card_refuses_after_the_refund_had_succeeded(client: stripe.StripeClient, control: ControlClient) -> None:
    made = refund(client, payment_intent=pay(client, control, FAILS_LATER), amount=10_000)
    assert made.status == "succeeded"
    assert control.settle_refunds() == [made.id]
    failed = client.v1.refunds.retrieve(made.id, {"expand": ["failure_balance_transaction"]}).to_dict()
    assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
    returned = failed["failure_balance_transaction"]
    assert (returned["type"], returned["amount"], returned["net"]) == ("refund_failure", 10_000, 10_000)
    charge = client.v1.charges.retrieve(failed["charge"])
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert kinds(client)[2:] == ["refund.updated", "charge.refund.updated", "refund.failed"]
    assert events(client)[-2].to_dict()["data"]["previous_attributes"] == {
        "failure_balance_transaction": None,
        "failure_reason": None,
        "status": "succeeded",
    }
    assert refund(client, charge=charge.id).amount == AMOUNT


@pytest.mark.parametrize("card", [PAYS, PENDS])
def test_any_refund_can_be_made_to_fail_once(client: stripe.StripeClient, control: ControlClient, card: str) -> None:
    made = refund(client, payment_intent=pay(client, control, card))
    with pytest.raises(urllib.error.HTTPError):
        control.fail_refund(made.id, reason="whim")
    assert control.fail_refund(made.id, reason="declined")["failure_reason"] == "declined"
    for again in (control.fail_refund, control.succeed_refund, control.cancel_refund):
        with pytest.raises(urllib.error.HTTPError):
            again(made.id)
    assert control.settle_refunds() == []
    assert client.v1.charges.retrieve(str(made.charge)).amount_refunded == 0


def test_a_refund_waits_for_the_buyer_and_is_canceled(client: stripe.StripeClient, control: ControlClient) -> None:
    made = refund(client, payment_intent=pay(client, control, PENDS))
    with pytest.raises(stripe.InvalidRequestError, match="Canceling this refund is unsupported"):
        client.v1.refunds.cancel(made.id)
    waiting = control.require_refund_action(made.id)
    assert (waiting["status"], waiting["next_action"]["type"]) == ("requires_action", "display_details")
    assert control.settle_refunds() == []
    canceled = client.v1.refunds.cancel(made.id)
    assert (canceled.status, canceled.failure_reason) == ("canceled", "merchant_request")
    assert "next_action" not in canceled.to_dict()
    charge = client.v1.charges.retrieve(str(made.charge))
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert kinds(client)[2:] == ["refund.updated", "charge.refund.updated"] * 2


def test_a_pending_card_refund_is_canceled_in_the_dashboard(
    client: stripe.StripeClient, control: ControlClient
) -> None:
    made = refund(client, payment_intent=pay(client, control, PENDS))
    assert control.cancel_refund(made.id)["status"] == "canceled"
    assert client.v1.charges.retrieve(str(made.charge)).amount_refunded == 0


def test_a_bank_debit_is_given_back_slowly(client: stripe.StripeClient, control: ControlClient) -> None:
    session = open_session(client)
    control.pay(session, method="us_bank_account")
    charge = control.settle(session)["charge"]
    made = refund(client, charge=charge, expand=["balance_transaction"])
    assert (made.status, made.to_dict()["balance_transaction"]["type"]) == ("pending", "payment_refund")
    assert control.settle_refunds() == [made.id]
    assert client.v1.refunds.retrieve(made.id).status == "succeeded"


def test_business_time_settles_refunds_by_itself(clock_file: Path) -> None:
    config = SandboxConfig(clock_file=clock_file, refund_delay=3600.0, tick=0.01)
    with SandboxServer(config) as server:
        client = stripe.StripeClient("sk_test_refunds", base_addresses={"api": server.url})
        control = ControlClient(server.url)
        made = refund(client, payment_intent=pay(client, control, PENDS))
        assert client.v1.refunds.retrieve(made.id).status == "pending"
        clock_file.write_text("3601")
        while client.v1.refunds.retrieve(made.id).status == "pending":
            pass
        assert client.v1.refunds.retrieve(made.id).status == "succeeded"


# The dashboard and the ledger


def test_a_refund_in_the_dashboard_is_no_call(
    client: stripe.StripeClient, control: ControlClient, paid: dict[str, Any]
) -> None:
    made = control.refund(payment_intent=paid["payment_intent"], amount=500, metadata={"by": "ann"})
    assert (made["amount"], made["status"], made["metadata"]) == (500, "succeeded", {"by": "ann"})
    assert control.refund(charge=paid["charge"])["amount"] == AMOUNT - 500
    assert "POST /v1/refunds" not in control.ledger()["calls"]
    assert events(client)[0].to_dict()["request"] == {"id": None, "idempotency_key": None}
    for wrong in ({"charge": paid["charge"]}, {"payment_intent": "pi_none"}, {"amount": 5}, {"colour": "red"}):
        with pytest.raises(urllib.error.HTTPError):
            control.refund(**wrong)


def test_the_ledger_tells_every_refund(client: stripe.StripeClient, control: ControlClient) -> None:
    kept = refund(client, "row-1", payment_intent=pay(client, control, PAYS), amount=100, metadata={"row": "1"})
    lost = refund(client, "row-2", payment_intent=pay(client, control, FAILS_LATER))
    control.settle_refunds()
    ledger = control.ledger()
    assert [
        (row["id"], row["amount"], row["currency"], row["status"], row["failure_reason"], row["idempotency_key"])
        for row in ledger["refunds"]
    ] == [
        (kept.id, 100, "usd", "succeeded", None, "row-1"),
        (lost.id, AMOUNT, "usd", "failed", "expired_or_canceled_card", "row-2"),
    ]
    assert [charge["amount_refunded"] for charge in ledger["charges"]] == [100, 0]
    control.reset()
    assert control.ledger()["refunds"] == []
