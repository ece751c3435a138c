"""Refunds and resolving at the front end: who may ask, what a request must look like, and what reaches the workers."""

import asyncio
import uuid
from typing import Any

import pytest

from paywindow.keys import hash_service_key

REFUNDS = "/payments/refunds"
ADMIN = {"Authorization": "Bearer pwk_admin"}


@pytest.fixture
async def front(make_front: Any, front_environment: dict[str, str]) -> Any:
    """A front end that also knows a key for refunds and one for admins."""
    keys = {"till:refund": "pwk_till", "boss:admin": "pwk_admin"}
    more = [f"{name}:{hash_service_key(key)}" for name, key in keys.items()]
    return await make_front(SERVICE_KEYS=",".join([front_environment["SERVICE_KEYS"], *more]))


@pytest.fixture
def till(bearer: Any) -> dict[str, str]:
    """The headers of a refund."""
    return {**bearer("pwk_till"), "Idempotency-Key": "return-17"}


def body(**changes: Any) -> dict[str, Any]:
    return {"sessionId": str(uuid.uuid4()), "reason": "broken in transit", **changes}


async def test_a_refund_is_a_command_with_a_decimal_for_an_amount(front: Any, workers: Any, till: Any) -> None:
    wanted = body(amount=100.50, releaseAuction=False)
    waiting = asyncio.create_task(front.post(REFUNDS, json=wanted, headers=till))

    message = await workers.take("payment.refund")
    workers.answer(message, 201, {"refund": {"id": "x"}})

    assert (await waiting).status == 201
    assert message.kwargs["client"] == "till"
    assert message.kwargs["request"] == {
        "session_id": wanted["sessionId"],
        "transaction_id": None,
        "amount": "100.5",
        "reason": "broken in transit",
        "release_auction": False,
    }


async def test_a_refund_needs_a_key_for_repeating_it(front: Any, workers: Any, till: Any) -> None:
    del till["Idempotency-Key"]

    response = await front.post(REFUNDS, json=body(), headers=till)

    assert (response.status, (await response.json())["code"]) == (400, "invalid_header")
    assert await workers.queued("payment.refund") == 0


async def test_only_a_key_with_the_scope_may_refund(front: Any, workers: Any, shop: Any) -> None:
    response = await front.post(REFUNDS, json=body(), headers={**shop, "Idempotency-Key": "1"})

    assert (response.status, (await response.json())["code"]) == (403, "forbidden")
    assert await workers.queued("payment.refund") == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sessionId": None}, "transactionId"),
        ({"transactionId": str(uuid.uuid4())}, "transactionId"),
        ({"sessionId": "17"}, "sessionId"),
        ({"amount": "100"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1e15}, "amount"),
        ({"amount": 0.00001}, "amount"),
        ({"reason": " "}, "reason"),
        ({"releaseAuction": "yes"}, "releaseAuction"),
        ({"everything": True}, "everything"),
    ],
)
async def test_a_refund_that_breaks_a_rule_is_refused_by_field(
    front: Any, workers: Any, till: Any, changes: dict[str, Any], field: str
) -> None:
    wanted = {name: value for name, value in body(**changes).items() if value is not None}

    response = await front.post(REFUNDS, json=wanted, headers=till)

    assert response.status == 422
    assert [rule["field"] for rule in (await response.json())["errors"]] == [field]
    assert await workers.queued("payment.refund") == 0


async def test_resolving_is_an_admins_command(front: Any, workers: Any, shop: Any) -> None:
    session_id = uuid.uuid4()
    path, wanted = f"/payments/checkout/{session_id}/resolve", {"decision": "accept", "reason": "looked at"}
    assert (await front.post(path, json=wanted, headers=shop)).status == 403
    waiting = asyncio.create_task(front.post(path, json=wanted, headers=ADMIN))

    message = await workers.take("payment.resolve")
    workers.answer(message, 200, {"paymentSession": {"id": str(session_id)}})

    assert (await waiting).status == 200
    assert message.kwargs["request"] == {"session_id": str(session_id), "reason": "looked at", "decision": "accept"}


@pytest.mark.parametrize("changes", [{"decision": "keep"}, {"decision": None}, {"reason": None}])
async def test_resolving_needs_a_decision_and_a_reason(front: Any, workers: Any, changes: dict[str, Any]) -> None:
    wanted = {**{"decision": "accept", "reason": "looked at"}, **changes}
    wanted = {name: value for name, value in wanted.items() if value is not None}

    response = await front.post(f"/payments/checkout/{uuid.uuid4()}/resolve", json=wanted, headers=ADMIN)

    assert response.status == 422
    assert await workers.queued("payment.resolve") == 0
