"""Create and cancel: one operation per key, its outcome as the answer, 202 when that takes too long."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

CREATE = "/payments/checkout/create"


async def test_a_create_is_answered_with_the_outcome(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    # Given: a create request that waits
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers=shop))
    # When: the actor publishes its outcome
    message = await workers.take("checkout.create")
    workers.answer(message, 201, {"paymentSession": {"id": "x", "amount": 275}, "payUrl": "https://pay.example/pay/x"})
    # Then: that is the answer
    response = await waiting
    assert response.status == 201
    assert response.content_type == "application/json"
    assert (await response.json())["payUrl"] == "https://pay.example/pay/x"
    # And: the message carried the normalised request
    assert message.kwargs["client"] == "shop"
    assert message.kwargs["request"]["amount_minor"] == 27500
    assert message.kwargs["request"]["window_minutes"] == 1440


async def test_money_keeps_its_scale_on_the_way_through(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    body = json.dumps(order).replace("275", "275.50")
    waiting = asyncio.create_task(front.post(CREATE, data=body, headers={**shop, "Content-Type": "application/json"}))
    message = await workers.take("checkout.create")
    assert message.kwargs["request"]["amount_minor"] == 27550
    from decimal import Decimal

    workers.answer(message, 201, {"paymentSession": {"amount": Decimal("275.50")}})
    assert '"amount":275.50' in await (await waiting).text()


async def test_a_refusal_is_a_problem(front: Any, workers: Any, shop: dict[str, str], order: Any) -> None:
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers=shop))
    workers.answer(await workers.take("checkout.create"), 409, {"code": "auction_taken", "status": 409})
    response = await waiting
    assert response.status == 409
    assert response.content_type == "application/problem+json"


async def test_fifty_parallel_identical_creates_with_one_key_are_one_operation(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    # Given: fifty at once
    headers = {**shop, "Idempotency-Key": "win-17"}
    waiting = [asyncio.create_task(front.post(CREATE, json=order, headers=headers)) for _ in range(50)]
    # When: the first message is worked
    message = await workers.take("checkout.create")
    workers.answer(message, 201, {"paymentSession": {"id": "the-only-one"}})
    responses = await asyncio.gather(*waiting)
    # Then: all are answered alike
    assert {response.status for response in responses} == {201}
    assert {await response.text() for response in responses} == {'{"paymentSession":{"id":"the-only-one"}}'}
    # And: whatever else was enqueued is the same operation with the same fingerprint
    others = [await workers.take("checkout.create") for _ in range(await workers.queued("checkout.create"))]
    assert {(m.kwargs["operation_id"], m.kwargs["fingerprint"]) for m in [message, *others]} == {
        (message.kwargs["operation_id"], message.kwargs["fingerprint"])
    }


async def test_a_repeated_key_is_answered_from_the_outcome_without_asking_again(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    headers = {**shop, "Idempotency-Key": "win-17"}
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers=headers))
    workers.answer(await workers.take("checkout.create"), 201, {"paymentSession": {"id": "x"}})
    first = await waiting
    again = await front.post(CREATE, json={**order, "amount": 275.00}, headers=headers)
    assert (again.status, await again.text()) == (first.status, await first.text())
    assert await workers.queued("checkout.create") == 0


async def test_a_repeated_key_with_another_body_is_refused(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    headers = {**shop, "Idempotency-Key": "win-17"}
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers=headers))
    workers.answer(await workers.take("checkout.create"), 201, {"paymentSession": {"id": "x"}})
    await waiting
    response = await front.post(CREATE, json={**order, "amount": 276}, headers=headers)
    assert response.status == 409
    assert (await response.json())["code"] == "idempotency_key_reused"
    assert await workers.queued("checkout.create") == 0


async def test_a_conflict_that_the_actor_finds_is_answered_too(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    from paywindow.published import Outcome

    waiting = asyncio.create_task(front.post(CREATE, json=order, headers={**shop, "Idempotency-Key": "win-17"}))
    given = (await workers.take("checkout.create")).kwargs
    refusal = Outcome(409, {"code": "idempotency_key_reused"}, given["client"], given["fingerprint"])
    workers.publish.conflict(uuid.UUID(given["operation_id"]), refusal)
    assert (await waiting).status == 409


async def test_without_a_key_each_request_is_an_operation_of_its_own(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    waiting = [asyncio.create_task(front.post(CREATE, json=order, headers=shop)) for _ in range(2)]
    first, second = await workers.take("checkout.create"), await workers.take("checkout.create")
    assert first.kwargs["operation_id"] != second.kwargs["operation_id"]
    for message in (first, second):
        workers.answer(message, 200, {})
    await asyncio.gather(*waiting)


async def test_what_takes_longer_than_the_caller_waits_is_accepted(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    # Given: a caller who does not want to wait
    response = await front.post(CREATE, json=order, headers={**shop, "Prefer": "wait=0"})
    # Then: it is told where the outcome will be
    message = await workers.take("checkout.create")
    location = f"/payments/operations/{message.kwargs['operation_id']}"
    assert response.status == 202
    assert response.headers["Location"] == location
    assert response.headers["Preference-Applied"] == "wait=0"
    assert int(response.headers["Retry-After"]) > 0
    assert (await response.json())["operation"] == {"id": message.kwargs["operation_id"], "status": "pending"}
    # And: finds it there, with its own status
    workers.answer(message, 201, {"paymentSession": {"id": "x"}})
    outcome = await front.get(location, headers=shop)
    assert (outcome.status, await outcome.json()) == (201, {"paymentSession": {"id": "x"}})


async def test_a_longer_wait_than_configured_is_capped(make_front: Any, shop: dict[str, str], order: Any) -> None:
    front = await make_front(FRONT_WAIT_SECONDS="0")
    response = await front.post(CREATE, json=order, headers={**shop, "Prefer": "wait=60"})
    assert (response.status, response.headers["Preference-Applied"]) == (202, "wait=0")


async def test_an_accepted_operation_is_pending_even_before_its_actor_ran(
    front: Any, workers: Any, shop: dict[str, str], order: Any, bearer: Callable[[str], dict[str, str]]
) -> None:
    accepted = await front.post(CREATE, json=order, headers={**shop, "Prefer": "wait=0"})
    waiting = asyncio.create_task(front.get(accepted.headers["Location"], headers=shop))
    await workers.take("checkout.create")
    workers.reply(await workers.take("operations.find"), 404, {"code": "not_found"})
    response = await waiting
    assert response.status == 202
    assert response.headers["Location"] == accepted.headers["Location"]


async def test_an_operation_whose_message_was_wiped_while_its_caller_waited_does_not_stay_pending(
    front: Any, workers: Any, shop: dict[str, str], order: Any, redis_url: str
) -> None:
    # Given: a create that waits, whose message is in Redis
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers={**shop, "Prefer": "wait=1"}))
    await workers.take("checkout.create")
    # When: Redis is wiped before the answer
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushall()
    accepted = await waiting
    assert accepted.status == 202
    # Then: whoever asks for the outcome is told that nobody knows of it, and may repeat the request
    asking = asyncio.create_task(front.get(accepted.headers["Location"], headers=shop))
    workers.reply(await workers.take("operations.find"), 404, {"code": "not_found"})
    assert (await asking).status == 404


async def test_an_operation_that_redis_forgot_is_asked_of_the_workers(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    operation = uuid.uuid4()
    for status, body in ((201, {"paymentSession": {}}), (202, {"operation": {}}), (404, {"code": "not_found"})):
        waiting = asyncio.create_task(front.get(f"/payments/operations/{operation}", headers=shop))
        message = await workers.take("operations.find")
        assert (message.kwargs["operation_id"], message.kwargs["client"]) == (str(operation), "shop")
        workers.reply(message, status, body, client="shop")
        assert (await waiting).status == status


async def test_another_clients_operation_does_not_exist(
    front: Any, workers: Any, shop: dict[str, str], order: Any, bearer: Callable[[str], dict[str, str]]
) -> None:
    accepted = await front.post(CREATE, json=order, headers={**shop, "Prefer": "wait=0"})
    workers.answer(await workers.take("checkout.create"), 201, {})
    response = await front.get(accepted.headers["Location"], headers=bearer("pwk_read-only"))
    assert response.status == 404


@pytest.mark.parametrize("body", [None, {}, {"reason": "unsold after all"}])
async def test_a_cancel_is_a_command_with_an_optional_reason(
    front: Any, workers: Any, shop: dict[str, str], body: Any
) -> None:
    session = uuid.uuid4()
    more = {} if body is None else {"json": body}
    waiting = asyncio.create_task(front.post(f"/payments/checkout/{session}/cancel", headers=shop, **more))
    message = await workers.take("checkout.cancel")
    assert message.kwargs["request"] == {"session_id": str(session), "reason": (body or {}).get("reason")}
    workers.answer(message, 200, {"paymentSession": {"status": "canceled"}})
    assert (await waiting).status == 200


async def test_a_key_used_for_a_create_cannot_cancel(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    headers = {**shop, "Idempotency-Key": "win-17"}
    waiting = asyncio.create_task(front.post(CREATE, json=order, headers=headers))
    workers.answer(await workers.take("checkout.create"), 201, {})
    await waiting
    response = await front.post(f"/payments/checkout/{uuid.uuid4()}/cancel", headers=headers)
    assert (response.status, (await response.json())["code"]) == (409, "idempotency_key_reused")
