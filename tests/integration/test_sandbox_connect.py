"""Connected accounts in the sandbox, through the real SDK: onboarding, where the money of a split payment goes, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import stripe

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

AMOUNT = 10_000
FEE = 1_234
STRIPE_FEE = 320
LINK: dict[str, str] = {
    "type": "account_onboarding",
    "refresh_url": "https://shop.example/again",
    "return_url": "https://shop.example/back",
}


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    return tmp_path / "clock"


@pytest.fixture
def sandbox(clock_file: Path) -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(clock_file=clock_file)) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_connect", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


@pytest.fixture
def account(client: stripe.StripeClient) -> str:
    return client.v1.accounts.create(
        {
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
        }
    ).id


@pytest.fixture
def seller(account: str, control: ControlClient) -> str:
    control.onboard(account)
    return account


def open_session(client: stripe.StripeClient, **intent_data: Any) -> str:
    price: Any = {"currency": "usd", "unit_amount": AMOUNT, "product_data": {"name": "Lot 7"}}
    data: Any = intent_data
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "line_items": [{"quantity": 1, "price_data": price}],
            "payment_intent_data": data,
        }
    ).id


def pay_split(client: stripe.StripeClient, control: ControlClient, seller: str) -> str:
    session = open_session(client, transfer_data={"destination": seller}, application_fee_amount=FEE)
    charge: str = control.pay(session)["charge"]
    return charge


def balances(control: ControlClient) -> tuple[int, int]:
    """What the platform and the one connected account have, in US cents."""
    ledger = control.ledger()
    return ledger["balance"].get("usd", 0), ledger["accounts"][0]["balance"].get("usd", 0)


def types(client: stripe.StripeClient) -> list[str]:
    return [event.type for event in reversed(client.v1.events.list({"limit": 100}).data)]


def test_a_new_account_can_do_nothing_until_its_owner_has_told_everything(
    client: stripe.StripeClient, control: ControlClient, account: str
) -> None:
    new = client.v1.accounts.retrieve(account)
    assert new.requirements is not None
    assert (new.charges_enabled, new.payouts_enabled, bool(new.requirements.currently_due)) == (False, False, True)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        open_session(client, transfer_data={"destination": account})
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    control.onboard(account)
    ready = client.v1.accounts.retrieve(account)
    assert (ready.charges_enabled, ready.payouts_enabled) == (True, True)
    events = client.v1.events.list({"limit": 100}).data
    assert {event.account for event in events} == {account}
    assert [event.type for event in events].count("capability.updated") == 2


def test_an_onboarding_link_is_good_once_and_for_minutes(
    client: stripe.StripeClient, account: str, clock_file: Path
) -> None:
    def new_link() -> str:
        params: Any = {**LINK, "account": account}
        return client.v1.account_links.create(params).url

    link = new_link()
    assert "Set up payouts" in requests.get(link, timeout=10).text
    again = requests.get(link, timeout=10, allow_redirects=False)
    assert (again.status_code, again.headers["Location"]) == (303, LINK["refresh_url"])
    left = requests.post(link, data={"outcome": "leave"}, timeout=10, allow_redirects=False)
    assert left.headers["Location"] == LINK["return_url"]
    assert not client.v1.accounts.retrieve(account).charges_enabled
    old = new_link()
    clock_file.write_text("301")
    assert requests.get(old, timeout=10, allow_redirects=False).headers["Location"] == LINK["refresh_url"]
    fresh = new_link()
    requests.get(fresh, timeout=10).raise_for_status()
    requests.post(fresh, data={"outcome": "complete"}, timeout=10, allow_redirects=False)
    assert client.v1.accounts.retrieve(account).charges_enabled
    assert urlsplit(fresh).path.startswith(f"/setup/e/{account}/")


def test_what_stripe_wants_by_a_deadline_stops_nothing_and_past_due_stops_all(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    warned = control.restrict(seller, fields=["individual.id_number"], deadline=2_000_000_000)
    assert (warned["charges_enabled"], warned["requirements"]["current_deadline"]) == (True, 2_000_000_000)
    stopped = control.restrict(seller, payouts_only=True)
    assert (stopped["charges_enabled"], stopped["payouts_enabled"]) == (True, False)
    closed = control.restrict(seller)
    assert (closed["charges_enabled"], closed["capabilities"]["transfers"]) == (False, "inactive")
    assert client.v1.accounts.retrieve(seller).requirements is not None


def test_all_goes_to_the_seller_the_fee_comes_back_and_stripes_own_fee_is_the_platforms(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    charge = client.v1.charges.retrieve(pay_split(client, control, seller))
    assert (charge.balance_transaction, charge.application_fee) == (None, None)
    assert balances(control) == (0, 0)
    control.release_fees()
    assert balances(control) == (FEE - STRIPE_FEE, AMOUNT - FEE)
    charge = client.v1.charges.retrieve(charge.id, {"expand": ["transfer", "application_fee"]})
    found = charge.to_dict()
    assert (found["transfer"]["amount"], found["application_fee"]["amount"]) == (AMOUNT, FEE)
    assert types(client)[-3:] == ["transfer.created", "application_fee.created", "charge.updated"]


@pytest.mark.parametrize("parts", [[AMOUNT], [1, 333, 3_333, 6_333]])
def test_refunds_take_both_shares_back_in_proportion_until_nothing_is_left(
    client: stripe.StripeClient, control: ControlClient, seller: str, parts: list[int]
) -> None:
    charge = pay_split(client, control, seller)
    for part in parts:
        refund = client.v1.refunds.create(
            {"charge": charge, "amount": part, "reverse_transfer": True, "refund_application_fee": True}
        )
        assert refund.transfer_reversal is not None
        platform, maker = balances(control)
        fee = control.ledger()["application_fees"][0]
        refunded = client.v1.charges.retrieve(charge).amount_refunded
        assert platform == fee["amount"] - fee["amount_refunded"] - STRIPE_FEE
        assert platform + STRIPE_FEE + maker == AMOUNT - refunded
        assert abs(fee["amount_refunded"] * AMOUNT - FEE * refunded) <= AMOUNT // 2
    assert balances(control) == (-STRIPE_FEE, 0)


def test_a_refund_that_does_not_ask_leaves_the_money_with_the_seller(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    charge = pay_split(client, control, seller)
    control.release_fees()
    client.v1.refunds.create({"charge": charge})
    assert balances(control) == (FEE - STRIPE_FEE - AMOUNT, AMOUNT - FEE)
    with pytest.raises(stripe.InvalidRequestError, match="requires reverse_transfer"):
        client.v1.refunds.create({"charge": pay_split(client, control, seller), "refund_application_fee": True})


def test_a_refund_that_fails_does_not_send_the_money_forth_again(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    charge = pay_split(client, control, seller)
    refund = client.v1.refunds.create({"charge": charge, "reverse_transfer": True, "refund_application_fee": True})
    control.fail_refund(refund.id)
    assert balances(control) == (AMOUNT - STRIPE_FEE, 0)


def test_a_separate_transfer_is_paid_from_its_charge_and_no_more_than_that(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    charge = control.pay(open_session(client, transfer_group="lot-7"))["charge"]
    control.release_fees()
    params: Any = {"currency": "usd", "destination": seller, "source_transaction": charge}
    transfer = client.v1.transfers.create({**params, "amount": 8_000}, {"idempotency_key": "t-1"})
    again = client.v1.transfers.create({**params, "amount": 8_000}, {"idempotency_key": "t-1"})
    assert (again.id, transfer.transfer_group) == (transfer.id, "lot-7")
    assert balances(control) == (AMOUNT - STRIPE_FEE - 8_000, 8_000)
    with pytest.raises(stripe.InvalidRequestError, match="already 8000 being transferred"):
        client.v1.transfers.create({**params, "amount": 2_001})
    with pytest.raises(stripe.InvalidRequestError, match="currency"):
        client.v1.transfers.create({**params, "amount": 1, "currency": "eur"})
    assert [found.id for found in client.v1.transfers.list({"destination": seller}).data] == [transfer.id]


def test_a_reversal_takes_no_more_than_there_is(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    charge = control.pay(open_session(client))["charge"]
    params: Any = {"currency": "usd", "destination": seller, "source_transaction": charge, "amount": 5_000}
    transfer = client.v1.transfers.create(params)
    client.v1.transfers.reversals.create(transfer.id, {"amount": 2_000})
    found = client.v1.transfers.retrieve(transfer.id)
    assert (found.amount_reversed, found.reversed, balances(control)[1]) == (2_000, False, 3_000)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unreversed"):
        client.v1.transfers.reversals.create(transfer.id, {"amount": 9_000})
    control.pay_out(seller)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.reversals.create(transfer.id)
    assert refused.value.code == "balance_insufficient"


def test_a_bank_that_refuses_a_payout_stops_further_ones(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    pay_split(client, control, seller)
    control.release_fees()
    assert control.pay_out(seller, fails=True)["failure_code"] == "account_closed"
    assert balances(control)[1] == AMOUNT - FEE
    assert client.v1.accounts.retrieve(seller).payouts_enabled is False
    assert "payout.failed" in types(client)


def test_a_disconnected_account_cannot_be_reached(
    client: stripe.StripeClient, control: ControlClient, seller: str
) -> None:
    event = control.deauthorize(seller)
    assert (event["type"], event["account"]) == ("account.application.deauthorized", seller)
    with pytest.raises(stripe.PermissionError):
        client.v1.accounts.retrieve(seller)


def test_a_charge_may_settle_in_another_currency(client: stripe.StripeClient, control: ControlClient) -> None:
    charge = control.pay(open_session(client))["charge"]
    control.call("POST", "/fees/release", charge=charge, currency="jpy", rate="151.237")
    entry = client.v1.charges.retrieve(charge, {"expand": ["balance_transaction"]}).to_dict()["balance_transaction"]
    assert (entry["currency"], entry["amount"], entry["fee"]) == ("jpy", 15_124, 469)
    assert str(entry["exchange_rate"]) == "151.237"


def test_what_is_not_modelled_is_refused(client: stripe.StripeClient, seller: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.accounts.create({"type": "express"})
    assert refused.value.code == "sandbox_unsupported"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.accounts.create({"controller": {}, "capabilities": {"treasury": {"requested": True}}})
    assert refused.value.code == "sandbox_unsupported"
    params: Any = {**LINK, "account": seller}
    del params["return_url"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.account_links.create(params)
    assert refused.value.param == "return_url"
