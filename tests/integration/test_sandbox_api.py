"""The sandbox's API through the real SDK: sessions, lists, errors, idempotency keys."""

import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import stripe
from stripe.checkout import Session

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control_client import ControlClient
from paywindow.sandbox.server import SandboxServer

DAY = 24 * 3600


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    return tmp_path / "clock"


@pytest.fixture
def sandbox(clock_file: Path) -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(clock_file=clock_file)) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_api", base_addresses={"api": sandbox.url})


@pytest.fixture
def control(sandbox: SandboxServer) -> ControlClient:
    return ControlClient(sandbox.url)


def params(amount: int = 27_550, currency: str = "usd", **changes: Any) -> Any:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Lot 7"}}
    return {
        "mode": "payment",
        "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
        "line_items": [{"quantity": 1, "price_data": price}],
        **changes,
    }


def create(client: stripe.StripeClient, key: str | None = None, **changes: Any) -> Session:
    return client.v1.checkout.sessions.create(params(**changes), {"idempotency_key": key} if key else {})


def refused(client: stripe.StripeClient, **changes: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(client, **changes)
    assert caught.value.http_status == 400
    return caught.value


def test_a_new_session_is_open_for_exactly_a_day(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    session = create(client, metadata={"auction": "7"}, client_reference_id="w1")
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.expires_at - session.created == DAY
    assert session.url == f"{sandbox.url}/c/pay/{session.id}"
    assert (session.amount_total, session.currency) == (27_550, "usd")
    assert client.v1.checkout.sessions.retrieve(session.id).to_dict() == session.to_dict()


def test_left_out_types_let_delayed_methods_in(client: stripe.StripeClient) -> None:
    assert create(client).payment_method_types == ["card", "us_bank_account"]
    assert create(client, allowed_payment_method_types=["card"]).payment_method_types == ["card"]
    assert create(client, excluded_payment_method_types=["us_bank_account"]).payment_method_types == ["card"]
    assert refused(client, allowed_payment_method_types=["swish"]).param == "allowed_payment_method_types"


def test_parameters_that_the_sdk_does_not_define_are_refused(client: stripe.StripeClient) -> None:
    error = refused(client, payment_method_types=["card"])
    assert (error.code, error.param) == ("parameter_unknown", "payment_method_types")
    assert "Received unknown parameter: payment_method_types" in str(error)
    nested = refused(client, payment_intent_data={"metadata": {"a": "b"}, "colour": "red"})
    assert nested.param == "payment_intent_data[colour]"


def test_parameters_that_are_not_modelled_are_refused_and_not_ignored(client: stripe.StripeClient) -> None:
    assert refused(client, allow_promotion_codes=True).code == "sandbox_unsupported"
    assert refused(client, mode="subscription").code == "sandbox_unsupported"


@pytest.mark.parametrize("missing", ["mode", "success_url", "line_items"])
def test_required_parameters_are_asked_for(client: stripe.StripeClient, missing: str) -> None:
    incomplete = params()
    del incomplete[missing]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(incomplete)
    assert (caught.value.code, caught.value.param) == ("parameter_missing", missing)


def test_types_and_choices_are_checked(client: stripe.StripeClient) -> None:
    error = refused(client, expires_at="soon")
    assert (error.code, error.param) == ("parameter_invalid_integer", "expires_at")
    assert refused(client, locale="tlh").param == "locale"
    assert refused(client, amount=cast(int, "12.5")).param == "line_items[0][price_data][unit_amount]"
    assert refused(client, currency="zzz").param == "line_items[0][price_data][currency]"
    assert refused(client, success_url="done").code == "url_invalid"
    assert refused(client, client_reference_id="x" * 201).param == "client_reference_id"
    assert refused(client, metadata={"k" * 41: "v"}).param == "metadata"
    assert refused(client, metadata={"k": "v" * 501}).param == "metadata[k]"
    assert refused(client, metadata={str(number): "v" for number in range(51)}).param == "metadata"


@pytest.mark.parametrize(
    ("amount", "currency"), [(49, "usd"), (29, "gbp"), (49, "jpy"), (17_499, "huf"), (0, "vnd"), (249, "dkk")]
)
def test_totals_below_the_minimum_are_refused(client: stripe.StripeClient, amount: int, currency: str) -> None:
    assert refused(client, amount=amount, currency=currency).code == "amount_too_small"


def test_totals_of_nine_digits_are_refused(client: stripe.StripeClient) -> None:
    assert refused(client, amount=100_000_000).code == "amount_too_large"


@pytest.mark.parametrize(("amount", "currency"), [(12_345, "isk"), (12_345, "ugx"), (12_345, "kwd")])
def test_fractions_that_a_currency_does_not_have_are_refused(
    client: stripe.StripeClient, amount: int, currency: str
) -> None:
    assert refused(client, amount=amount, currency=currency).param == "line_items[0][price_data][unit_amount]"


def test_expires_at_lies_between_half_an_hour_and_less_than_a_day(
    client: stripe.StripeClient, control: ControlClient
) -> None:
    now = control.call("GET", "/health")["now"]
    assert create(client, expires_at=now + 31 * 60).expires_at == now + 31 * 60
    assert refused(client, expires_at=now + 29 * 60).param == "expires_at"
    assert "less than 24 hours" in str(refused(client, expires_at=now + DAY + 60))


def test_a_session_is_updated_expired_and_then_refuses(client: stripe.StripeClient) -> None:
    session = create(client, metadata={"a": "1", "b": "2"})
    updated = client.v1.checkout.sessions.update(session.id, {"metadata": {"b": "", "c": "3"}})
    assert updated.to_dict()["metadata"] == {"a": "1", "c": "3"}
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert (caught.value.http_status, caught.value.code) == (400, None)


def test_time_expires_sessions_on_access_and_says_so(
    client: stripe.StripeClient, control: ControlClient, clock_file: Path
) -> None:
    session = create(client)
    clock_file.write_text(str(DAY - 60))
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    clock_file.write_text(f"{DAY + 1}.5")
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    events = client.v1.events.list({"types": ["checkout.session.expired"]}).data
    assert [event.data.object["id"] for event in events] == [session.id]
    with pytest.raises(urllib.error.HTTPError):
        control.pay(session.id)


def test_an_expired_session_cancels_its_payment_intent(client: stripe.StripeClient, control: ControlClient) -> None:
    session = create(client)
    declined = control.pay(session.id, "4000000000000002")
    client.v1.checkout.sessions.expire(session.id)
    assert client.v1.payment_intents.retrieve(declined["payment_intent"]).status == "canceled"


def test_lists_page_in_both_directions_and_filter(client: stripe.StripeClient, control: ControlClient) -> None:
    made = [create(client).id for _ in range(5)]
    newest_first = made[::-1]
    sessions = client.v1.checkout.sessions
    first = sessions.list({"limit": 2})
    assert ([item.id for item in first.data], first.has_more) == (newest_first[:2], True)
    rest = sessions.list({"limit": 3, "starting_after": newest_first[1]})
    assert ([item.id for item in rest.data], rest.has_more) == (newest_first[2:], False)
    before = sessions.list({"limit": 2, "ending_before": newest_first[3]})
    assert ([item.id for item in before.data], before.has_more) == (newest_first[1:3], True)
    assert [item.id for item in sessions.list({"limit": 2}).auto_paging_iter()] == newest_first
    paid = control.pay(made[2])
    assert [item.id for item in sessions.list({"payment_intent": paid["payment_intent"]}).data] == [made[2]]
    assert [item.id for item in sessions.list({"status": "complete"}).data] == [made[2]]
    assert sessions.list({"created": {"gt": first.data[0].created + DAY}}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        sessions.list({"limit": 101})
    with pytest.raises(stripe.InvalidRequestError):
        sessions.list({"starting_after": "cs_test_none"})


def test_expansion_reaches_through_lists_and_levels(client: stripe.StripeClient, control: ControlClient) -> None:
    session = create(client)
    control.pay(session.id)
    unpriced = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction"]}
    )
    assert unpriced.to_dict()["payment_intent"]["latest_charge"]["balance_transaction"] is None
    control.release_fees()
    listed = client.v1.checkout.sessions.list(
        {"expand": ["data.payment_intent.latest_charge.balance_transaction", "data.line_items"]}
    ).data[0]
    transaction = listed.to_dict()["payment_intent"]["latest_charge"]["balance_transaction"]
    assert (transaction["fee"], transaction["net"]) == (829, 26_721)
    assert listed.to_dict()["line_items"]["data"][0]["description"] == "Lot 7"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.retrieve(session.id, {"expand": ["amount_total"]})


def test_line_items_and_payments_are_listed(client: stripe.StripeClient, control: ControlClient) -> None:
    session = create(client, payment_intent_data={"metadata": {"auction": "7"}}, metadata={"other": "8"})
    assert client.v1.checkout.sessions.line_items.list(session.id).data[0].amount_total == 27_550
    declined = control.pay(session.id, "4000000000009995")
    paid = control.pay(session.id)
    intent = client.v1.payment_intents.list().data[0]
    assert intent.to_dict()["metadata"] == {"auction": "7"}
    charges = client.v1.charges.list({"payment_intent": intent.id}).data
    assert [(charge.id, charge.status) for charge in charges] == [
        (paid["charge"], "succeeded"),
        (declined["charge"], "failed"),
    ]


def test_unknown_ids_and_addresses_are_404(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.retrieve("cs_test_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.list()
    assert caught.value.http_status == 404


@pytest.mark.parametrize("key", ["sk_live_123456789", "rk_live_123456789", "whatever"])
def test_keys_that_are_not_test_keys_are_turned_away(sandbox: SandboxServer, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        stripe.StripeClient(key, base_addresses={"api": sandbox.url}).v1.accounts.retrieve_current()
    assert caught.value.http_status == 401
    assert key not in str(caught.value)


def test_an_idempotency_key_replays_the_first_answer(client: stripe.StripeClient, control: ControlClient) -> None:
    first, again = create(client, key="order-1"), create(client, key="order-1")
    assert again.id == first.id
    assert again.last_response is not None
    assert first.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert len(control.ledger()["sessions"]) == 1


def test_a_key_with_other_parameters_is_refused(client: stripe.StripeClient) -> None:
    create(client, key="order-1")
    with pytest.raises(stripe.IdempotencyError) as caught:
        create(client, key="order-1", amount=1_000)
    assert caught.value.http_status == 400


def test_a_refused_parameter_leaves_the_key_free(client: stripe.StripeClient) -> None:
    refused(client, key="order-1", locale="tlh")
    assert create(client, key="order-1").status == "open"


def test_an_error_of_the_work_itself_is_replayed(client: stripe.StripeClient) -> None:
    session = create(client)
    client.v1.checkout.sessions.expire(session.id)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.checkout.sessions.expire(session.id, options={"idempotency_key": "close"})
    headers = cast(dict[str, str], caught.value.headers)
    assert headers["Idempotent-Replayed"] == "true"


def test_keys_are_forgotten_after_a_day(client: stripe.StripeClient, clock_file: Path) -> None:
    first = create(client, key="order-1")
    clock_file.write_text(str(DAY - 60))
    assert create(client, key="order-1").id == first.id
    clock_file.write_text(str(DAY + 1))
    assert create(client, key="order-1").id != first.id


def test_fifty_parallel_creates_with_one_key_make_one_session(
    client: stripe.StripeClient, control: ControlClient
) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(create(client, key="one").id)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), len(control.ledger()["sessions"])) == (50, 1, 1)


def test_events_are_listed_by_type_time_and_delivery(client: stripe.StripeClient, control: ControlClient) -> None:
    control.pay(create(client).id)
    kinds = [event.type for event in client.v1.events.list({"type": "payment_intent.*"}).data]
    assert kinds == ["payment_intent.succeeded", "payment_intent.created"]
    assert client.v1.events.list({"delivery_success": False}).data == []
    event = client.v1.events.list({"types": ["charge.succeeded"]}).data[0]
    assert client.v1.events.retrieve(event.id).type == "charge.succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"types": ["charge.succeeded"] * 21})


def test_a_reset_forgets_everything(client: stripe.StripeClient, control: ControlClient) -> None:
    create(client, key="order-1")
    control.reset()
    assert control.ledger()["sessions"] == []
    assert create(client, key="order-1").status == "open"
