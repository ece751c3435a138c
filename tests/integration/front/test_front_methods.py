"""The payment methods that buyers keep, over HTTP: who may ask, what is asked of the workers, what is refused."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

BUYER = uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
METHOD = uuid.UUID("0b2f1c7e-5a39-4d0c-8d55-6f1f3a0c9e21")
LIST, ONE = f"/payments/methods?buyerId={BUYER}", f"/payments/methods/{METHOD}?buyerId={BUYER}"
KEPT = {"paymentMethods": [{"id": str(METHOD), "type": "card"}]}


@pytest.mark.parametrize("key", ["pwk_checkout-and-read", "pwk_read-only"])
async def test_the_marketplace_lists_what_a_buyer_keeps(front: Any, workers: Any, bearer: Any, key: str) -> None:
    waiting = asyncio.create_task(front.get(LIST, headers=bearer(key)))
    message = await workers.take("methods.list")
    assert message.kwargs["buyer_id"] == str(BUYER)
    workers.reply(message, 200, KEPT)

    response = await waiting
    assert (response.status, await response.json()) == (200, KEPT)
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_method_is_dropped_by_a_command(front: Any, workers: Any, shop: dict[str, str]) -> None:
    headers = {**shop, "Idempotency-Key": "drop-1"}
    waiting = asyncio.create_task(front.delete(ONE, headers=headers))
    message = await workers.take("methods.detach")
    assert message.kwargs["request"] == {"method_id": str(METHOD), "buyer_id": str(BUYER)}
    workers.answer(message, 200, {"paymentMethod": {"id": str(METHOD)}})
    assert (await waiting).status == 200

    # The same again gets the same answer, and asks nobody.
    assert (await front.delete(ONE, headers=headers)).status == 200
    assert await workers.queued("methods.detach") == 0
    # The same key for another buyer's is refused.
    other = f"/payments/methods/{METHOD}?buyerId={uuid.uuid4()}"
    refused = await front.delete(other, headers=headers)
    assert (refused.status, (await refused.json())["code"]) == (409, "idempotency_key_reused")


async def test_a_drop_that_takes_long_is_answered_with_where_to_look(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    response = await front.delete(ONE, headers={**shop, "Prefer": "wait=0"})

    assert (response.status, response.headers["Preference-Applied"]) == (202, "wait=0")
    assert response.headers["Location"].startswith("/payments/operations/")


@pytest.mark.parametrize("verb", ["get", "delete"])
async def test_nobody_else_may_ask(
    front: Any,
    workers: Any,
    bearer: Any,
    verb: str,
    snapshot: Any,
    token: Callable[[uuid.UUID], str],
) -> None:
    session_id = uuid.uuid4()
    workers.publish.session(session_id, snapshot(session_id, buyerId=str(BUYER)))
    path = LIST if verb == "get" else ONE
    call = getattr(front, verb)

    assert (await call(path)).status == 401
    assert (await call(path, headers=bearer("pwk_unknown"))).status == 401
    # A buyer token opens one purchase, not what its buyer keeps for others.
    assert (await call(path, headers=bearer(token(session_id)))).status == 401
    assert (await call(path, headers=bearer("pwk_admin-only"))).status == 403
    if verb == "delete":
        assert (await call(path, headers=bearer("pwk_read-only"))).status == 403
    assert await workers.nothing_queued()


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("", "is required"),
        ("?buyerId=", "must be a UUID"),
        ("?buyerId=7", "must be a UUID"),
        (f"?buyerId={BUYER.hex}", "must be a UUID"),
        (f"?buyerId={str(BUYER).upper()}", "must be a UUID"),
        (f"?buyerId={BUYER}&buyerId={BUYER}", "must be given once"),
    ],
)
@pytest.mark.parametrize("verb", ["get", "delete"])
async def test_a_buyer_must_be_named(
    front: Any, workers: Any, shop: dict[str, str], verb: str, query: str, rule: str
) -> None:
    path = "/payments/methods" if verb == "get" else f"/payments/methods/{METHOD}"
    response = await getattr(front, verb)(path + query, headers=shop)

    problem = await response.json()
    assert (response.status, problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["field"] == "buyerId"
    assert rule in problem["errors"][0]["rule"]
    assert await workers.nothing_queued()


async def test_an_id_that_no_method_can_have_is_a_404(front: Any, workers: Any, shop: dict[str, str]) -> None:
    response = await front.delete(f"/payments/methods/pm_1?buyerId={BUYER}", headers=shop)

    assert response.status == 404
    assert await workers.nothing_queued()
