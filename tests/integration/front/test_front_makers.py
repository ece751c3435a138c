"""Makers' accounts over HTTP: who may ask, what is sent to the workers, and what is answered."""

import asyncio
from typing import Any

import pytest

MAKER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09"
PATH = f"/payments/makers/{MAKER}/account"
URLS = {"returnUrl": "https://shop.example/back", "refreshUrl": "https://shop.example/again"}


async def test_a_link_is_a_command_with_an_outcome(front: Any, workers: Any, shop: dict[str, str]) -> None:
    body = {"country": "DE", "email": "maker@example.com", **URLS}
    waiting = asyncio.create_task(front.post(PATH, json=body, headers=shop))
    message = await workers.take("sellers.link")
    assert message.kwargs["request"] == {
        "maker_id": MAKER,
        "country": "DE",
        "email": "maker@example.com",
        "return_url": URLS["returnUrl"],
        "refresh_url": URLS["refreshUrl"],
    }
    workers.answer(message, 201, {"onboarding": {"url": "https://connect.stripe.com/setup/e/x"}})
    response = await waiting
    assert response.status == 201
    assert (await response.json())["onboarding"]["url"] == "https://connect.stripe.com/setup/e/x"


async def test_configured_addresses_need_no_body(make_front: Any, workers: Any, shop: dict[str, str]) -> None:
    front = await make_front(SELLER_RETURN_URL=URLS["returnUrl"], SELLER_REFRESH_URL=URLS["refreshUrl"])
    waiting = asyncio.create_task(front.post(PATH, headers=shop))
    message = await workers.take("sellers.link")
    assert message.kwargs["request"]["refresh_url"] == URLS["refreshUrl"]
    workers.answer(message, 409, {"code": "idempotency_key_reused", "status": 409})
    assert (await waiting).status == 409


@pytest.mark.parametrize(("status", "body"), [(200, {"account": {"ready": False}}), (404, {"code": "not_found"})])
async def test_the_account_is_a_query_to_the_workers(
    front: Any, workers: Any, shop: dict[str, str], status: int, body: dict[str, Any]
) -> None:
    waiting = asyncio.create_task(front.get(PATH, headers=shop))
    message = await workers.take("sellers.find")
    assert message.kwargs["maker_id"] == MAKER
    workers.reply(message, status, body)
    response = await waiting
    assert (response.status, await response.json()) == (status, body)


async def test_a_key_that_may_only_read_gets_no_link(front: Any, bearer: Any) -> None:
    assert (await front.post(PATH, json=URLS, headers=bearer("pwk_read-only"))).status == 403


async def test_all_broken_rules_are_named_and_nothing_is_sent(front: Any, workers: Any, shop: dict[str, str]) -> None:
    bad = {"country": "de", "email": "nobody", "returnUrl": "https://evil.example", "refreshURL": "x"}
    response = await front.post(PATH, json=bad, headers=shop)
    fields = {each["field"] for each in (await response.json())["errors"]}
    assert (response.status, fields) == (422, {"country", "email", "returnUrl", "refreshURL"})


async def test_without_addresses_in_request_and_settings_both_are_asked_for(front: Any, shop: dict[str, str]) -> None:
    response = await front.post(PATH, headers=shop)
    rules = {each["field"]: each["rule"] for each in (await response.json())["errors"]}
    assert response.status == 422
    assert rules == {
        "returnUrl": "is required, unless SELLER_RETURN_URL is set",
        "refreshUrl": "is required, unless SELLER_REFRESH_URL is set",
    }


@pytest.mark.parametrize("verb", ["get", "post"])
async def test_nobody_asks_without_a_key_or_about_what_is_not_an_id(
    front: Any, shop: dict[str, str], verb: str
) -> None:
    ask = getattr(front, verb)
    assert (await ask(PATH)).status == 401
    assert (await ask("/payments/makers/maker-7/account", headers=shop)).status == 404
