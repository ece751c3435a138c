"""Sellers' accounts: opened once whatever happens, current whatever order Stripe's events come in."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, ids, messages
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeUnavailable
from paywindow.messages import build
from paywindow.models import database as db
from paywindow.models import sellers
from paywindow.models.tables import ConnectedAccount, Operation, Outbox
from paywindow.published import reply_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

MAKER = uuid.UUID("7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09")
URLS = {"return_url": "https://shop.example/back", "refresh_url": "https://shop.example/again"}


def link_message(key: str | None = None, **changes: Any) -> Any:
    request = {"maker_id": str(MAKER), "country": None, "email": None, **URLS, **changes}
    operation = ids.operation_id("shop", key)
    return messages.link_seller(operation, "shop", ids.fingerprint("sellers.link", request), request)


def link(shop: Shop, key: str | None = None, **changes: Any) -> dict[str, Any]:
    message = link_message(key, **changes)
    shop.run(message)
    shop.work()
    return shop.outcome(uuid.UUID(message.kwargs["operation_id"]))


def row(shop: Shop) -> ConnectedAccount:
    (found,) = shop.rows(ConnectedAccount)
    return found  # type: ignore[no-any-return]


def found(shop: Shop) -> dict[str, Any]:
    reply = uuid.uuid4()
    shop.run(messages.find_seller(reply, MAKER))
    answer: dict[str, Any] = json.loads(shop.state.get(reply_key(reply)))
    return answer


def test_the_first_link_opens_an_account_and_each_further_one_is_new(shop: Shop) -> None:
    first, second = link(shop, country="DE", email="maker@example.com"), link(shop)

    assert (first["status"], second["status"]) == (201, 200)
    assert first["body"]["onboarding"]["url"] != second["body"]["onboarding"]["url"]
    (account,) = shop.ledger()["accounts"]
    assert account["metadata"] == {"maker_id": str(MAKER)}
    assert row(shop).stripe_account_id == account["id"]
    assert (row(shop).country, row(shop).default_currency) == ("DE", "USD")
    assert first["body"]["account"]["ready"] is False
    assert shop.rows(Outbox) == []


def test_a_repeated_key_gets_its_link_again_and_another_request_is_refused(shop: Shop) -> None:
    first, again = link(shop, key="k"), link(shop, key="k")
    assert again == first
    shop.run(link_message("k", email="other@example.com"))
    assert shop.ledger()["calls"]["POST /v1/account_links"] == 1


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/account_links"])
@pytest.mark.parametrize("fault", ["500_after_work", "timeout_after_work", "refuse_connection"])
def test_whatever_crashes_there_is_one_account(shop: Shop, path: str, fault: str) -> None:
    shop.fault(fault, times=2, path_prefix=path)
    message = link_message("k")
    with pytest.raises(StripeUnavailable):
        shop.run(message)
    shop.mend()
    shop.pass_time(minutes=1)
    shop.sweep()  # the message was lost: the operation's sweep sends it again
    assert shop.outcome(ids.operation_id("shop", "k"))["status"] in (200, 201)
    assert len(shop.ledger()["accounts"]) == 1


def test_killed_between_stripes_answer_and_the_commit_the_account_is_found_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sellers, "opened", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.run(link_message("k"))
    assert row(shop).stripe_account_id is None

    assert link(shop, key="k")["status"] == 201
    (account,) = shop.ledger()["accounts"]
    assert row(shop).stripe_account_id == account["id"]


def test_after_the_key_is_forgotten_the_account_is_looked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sellers, "opened", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.run(link_message())
    shop.pass_time(hours=25)

    assert link(shop)["status"] == 201
    assert len(shop.ledger()["accounts"]) == 1


def test_two_first_links_at_once_open_one_account(shop: Shop) -> None:
    one, other = link_message("one"), link_message("other")
    shop.together(one, other)
    shop.work()
    assert len(shop.ledger()["accounts"]) == 1
    assert {shop.outcome(ids.operation_id("shop", key))["status"] for key in ("one", "other")} <= {200, 201}


def test_stripe_refusing_is_an_answer(shop: Shop) -> None:
    refused = link(shop, return_url="ftp://shop.example")
    assert (refused["status"], refused["body"]["code"], refused["body"]["param"]) == (
        422,
        "stripe_refused",
        "return_url",
    )
    assert shop.rows(Operation)[0].outcome is not None


def test_onboarding_is_learned_from_the_event(shop: Shop) -> None:
    link(shop)
    assert found(shop)["body"]["account"]["chargesEnabled"] is False
    shop.control(f"accounts/{row(shop).stripe_account_id}/onboard")
    shop.deliver()

    account = found(shop)["body"]["account"]
    assert (account["ready"], account["chargesEnabled"], account["payoutsEnabled"]) == (True, True, True)
    assert (account["missing"], account["requirements"]["currentlyDue"]) == ([], [])
    assert shop.verdicts()["account.updated"] == shop.verdicts()["capability.updated"] == "applied"


def test_what_stripe_wants_is_shown_with_its_deadline(shop: Shop) -> None:
    link(shop)
    account = row(shop).stripe_account_id
    shop.control(f"accounts/{account}/onboard")
    shop.control(f"accounts/{account}/restrict", fields=["individual.id_number"], deadline=2_000_000_000)
    shop.deliver()
    shown = found(shop)["body"]["account"]
    assert (shown["ready"], shown["missing"]) == (True, [])
    assert shown["requirements"]["currentlyDue"] == ["individual.id_number"]
    assert shown["requirements"]["currentDeadline"] == "2033-05-18T03:33:20Z"

    shop.control(f"accounts/{account}/restrict", fields=["individual.id_number"])
    shop.deliver()
    shown = found(shop)["body"]["account"]
    assert (shown["ready"], shown["missing"]) == (False, ["individual.id_number"])
    assert shown["requirements"]["disabledReason"] == "requirements.past_due"


def test_a_reordered_older_event_does_not_undo_what_is_known(shop: Shop) -> None:
    link(shop)
    account = row(shop).stripe_account_id
    shop.control(f"accounts/{account}/onboard")
    shop.control(f"accounts/{account}/restrict")
    shop.control(f"accounts/{account}/onboard")
    for event in reversed(shop.events()):
        shop.deliver_event(event)
        shop.work()
        assert row(shop).charges_enabled is True


def test_a_reading_that_began_earlier_never_overwrites_a_later_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    link(shop)
    account = row(shop).stripe_account_id
    refresh = build("sellers.refresh", maker_id=str(MAKER))
    read = runtime().gateway.retrieve_account

    def overtaken(account_id: str) -> dict[str, Any]:
        old = read(account_id)
        monkeypatch.undo()
        shop.control(f"accounts/{account}/onboard")
        shop.run(refresh)
        assert row(shop).charges_enabled is True
        return old

    monkeypatch.setattr(runtime().gateway, "retrieve_account", overtaken)
    shop.run(refresh)
    assert row(shop).charges_enabled is True


def test_a_refused_payout_shows_that_payouts_have_stopped(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(SELLER_PAYOUTS="refuse")
    link(shop)
    account = row(shop).stripe_account_id
    shop.control(f"accounts/{account}/onboard")
    shop.deliver()
    session = shop.open_session(maker_id=str(MAKER))
    shop.pay(session)
    shop.control("fees/release")
    shop.control(f"accounts/{account}/payout", fails=True)
    shop.deliver()
    shown = found(shop)["body"]["account"]
    assert (shown["chargesEnabled"], shown["payoutsEnabled"]) == (True, False)
    assert shown["requirements"]["pastDue"] == ["external_account"]


def test_a_disconnected_account_is_lost_and_the_next_link_opens_another(shop: Shop) -> None:
    link(shop)
    first = row(shop).stripe_account_id
    shop.control(f"accounts/{first}/onboard")
    shop.deliver()
    shop.control(f"accounts/{first}/deauthorize")
    shop.deliver()
    shown = found(shop)["body"]["account"]
    assert (shown["connected"], shown["ready"], shown["missing"]) == (False, False, ["account"])

    assert link(shop)["status"] == 201
    assert row(shop).stripe_account_id != first
    assert row(shop).generation == 2


def test_a_disconnection_that_was_not_told_is_noticed_when_a_link_is_asked_for(shop: Shop) -> None:
    link(shop)
    shop.control(f"accounts/{row(shop).stripe_account_id}/deauthorize")
    assert link(shop)["status"] == 422
    assert link(shop)["status"] == 201


def test_a_connected_account_cannot_touch_anything_but_its_own_state(shop: Shop) -> None:
    link(shop)
    session = shop.open_session()
    account = row(shop).stripe_account_id
    before = shop.session(session.id).version
    for kind in ("checkout.session.completed", "payment_intent.succeeded", "charge.updated", "transfer.reversed"):
        page = {"id": shop.checkout_id(session), "object": "checkout.session", "payment_intent": "pi_1"}
        event = shop.control("events", type=kind, object=page, account=account)
        shop.deliver_event(event)
    shop.work()
    assert {shop.verdicts()[kind] for kind in ("checkout.session.completed", "transfer.reversed")} == {"foreign"}
    assert shop.session(session.id).version == before


def test_an_event_of_an_account_that_is_not_known_is_foreign(shop: Shop) -> None:
    event = shop.control(
        "events", type="account.updated", object={"id": "acct_x", "object": "account"}, account="acct_x"
    )
    shop.deliver_event(event)
    shop.work()
    assert shop.verdicts()["account.updated"] == "foreign"


def test_an_unknown_maker_is_not_found(shop: Shop) -> None:
    assert (found(shop)["status"], found(shop)["body"]["code"]) == (404, "not_found")


def test_an_account_that_is_being_opened_has_a_claim_older_than_its_call(shop: Shop) -> None:
    link(shop)
    with db.transaction():
        (claimed,) = list(ConnectedAccount.select())
    assert claimed.first_called_at <= clock.now() + timedelta(seconds=1)
    assert json.loads(claimed.params)["controller"]["stripe_dashboard"] == {"type": "express"}
