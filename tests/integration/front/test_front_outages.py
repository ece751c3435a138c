"""The front end while Redis is full, hangs or is away: what it can do it does, the rest it refuses at once, and it recovers."""

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from paywindow.embedded import EmbeddedRedis
from paywindow.enqueue import Enqueuer
from paywindow.front import context
from paywindow.front.answers import PROBLEM_JSON
from paywindow.keys import hash_service_key
from paywindow.published import Outcome

Send = Callable[[Any], Awaitable[Any]]

EVENT = {
    "id": "evt_1Abc",
    "object": "event",
    "type": "charge.succeeded",
    "livemode": False,
    "data": {"object": {"id": "ch_1"}},
}
LINK = {"returnUrl": "https://shop.example/back", "refreshUrl": "https://shop.example/again"}
EVERYTHING = "pwk_everything"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - Redis cannot set an event of ours
        await asyncio.sleep(0.02)


async def is_ready(front: Any) -> bool:
    return bool((await front.get("/readyz")).status == 200)


async def is_not_ready(front: Any) -> bool:
    return not await is_ready(front)


@pytest.fixture
def full(redis_url: str) -> Iterator[Callable[[bool], None]]:
    """Make Redis refuse whatever needs memory, or end that."""
    with redis.Redis.from_url(redis_url) as client:
        yield lambda wanted: client.config_set("maxmemory", 1 if wanted else 0)
        client.config_set("maxmemory", 0)


@pytest.fixture
async def hanging(redis_server: EmbeddedRedis) -> AsyncIterator[Callable[[bool], None]]:
    """Stop Redis as a process that takes connections and answers none, or let it go on."""

    def hang(wanted: bool) -> None:
        os.kill(redis_server.pid, signal.SIGSTOP if wanted else signal.SIGCONT)

    yield hang
    hang(False)


@pytest.fixture
def deliver(stripe_signature: Callable[[bytes], dict[str, str]]) -> Send:
    """Sends a webhook, as Stripe would; the answer."""

    async def send(front: Any) -> Any:
        body = json.dumps(EVENT).encode()
        return await front.post("/payments/webhooks/stripe", data=body, headers=stripe_signature(body))

    return send


def commands(order: Any) -> list[tuple[str, dict[str, Any] | None]]:
    """Every route that enqueues a command."""
    session = f"/payments/checkout/{uuid.uuid4()}"
    return [
        ("/payments/checkout/create", order),
        (f"{session}/cancel", {"reason": "unsold"}),
        (f"{session}/expire", {"reason": "unsold"}),
        (f"{session}/extend", {"reason": "asked for", "minutes": 30}),
        (f"{session}/reopen", {"reason": "asked for", "minutes": 60}),
        (f"{session}/grant-retry", {"reason": "asked for"}),
        (f"{session}/resolve", {"reason": "looked at", "decision": "accept"}),
        (f"/payments/retry/{uuid.uuid4()}", None),
        ("/payments/refunds", {"sessionId": str(uuid.uuid4()), "reason": "broken"}),
        (f"/payments/makers/{uuid.uuid4()}/account", LINK),
    ]


async def assert_unavailable(response: Any) -> str:
    """503 problem+json that says when to come again; its detail."""
    body = await response.json()
    assert (response.status, response.content_type, body["code"]) == (503, PROBLEM_JSON, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    return str(body["detail"])


async def test_a_full_redis_refuses_every_command_and_webhook_and_answers_reads(
    make_front: Any,
    workers: Any,
    shop: dict[str, str],
    order: Any,
    snapshot: Any,
    full: Callable[[bool], None],
    front_environment: dict[str, str],
    deliver: Send,
) -> None:
    key = f"all:checkout+read+refund+admin:{hash_service_key(EVERYTHING)}"
    front = await make_front(SERVICE_KEYS=f"{front_environment['SERVICE_KEYS']},{key}")
    session_id = uuid.uuid4()
    workers.publish.session(session_id, snapshot(session_id))
    await until(lambda: is_ready(front))
    full(True)

    for path, body in commands(order):
        headers = {"Authorization": f"Bearer {EVERYTHING}", "Idempotency-Key": str(uuid.uuid4())}
        answer = await front.post(path, json=body, headers=headers)
        assert "full" in await assert_unavailable(answer), path
    assert "full" in await assert_unavailable(await deliver(front))
    assert await workers.nothing_queued()

    # What is published can be read, and readiness says what is wrong.
    assert (await front.get(f"/payments/checkout/{session_id}/status", headers=shop)).status == 200
    unready = await front.get("/readyz")
    checks = (await unready.json())["checks"]
    assert (unready.status, checks["broker"], checks["state"]) == (503, False, True)
    assert (await front.get("/healthz")).status == 200

    full(False)
    await until(lambda: is_ready(front))
    assert (await deliver(front)).status == 200
    waiting = asyncio.create_task(front.post("/payments/checkout/create", json=order, headers=shop))
    workers.answer(await workers.take("checkout.create"), 201, {"paymentSession": {"id": "x"}})
    assert (await waiting).status == 201


async def test_a_redis_that_hangs_holds_up_only_those_who_noticed_it(
    make_front: Any,
    workers: Any,
    shop: dict[str, str],
    order: Any,
    hanging: Callable[[bool], None],
    deliver: Send,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given: a front end whose requests would wait for Redis for ever, if nobody told them
    monkeypatch.setattr(context, "_TIMEOUT_SECONDS", None)
    front = await make_front()
    await until(lambda: is_ready(front))
    hanging(True)

    async def noticed() -> bool:
        return not any(guard.answering for guard in front.app[context.FRONT].guards)

    await until(noticed)
    # When: a crowd comes while Redis stays silent
    creates = [front.post("/payments/checkout/create", json=order, headers=shop) for _ in range(200)]
    events = [deliver(front) for _ in range(200)]
    reads = [front.get(f"/payments/checkout/{uuid.uuid4()}/status", headers=shop) for _ in range(50)]
    # Then: each is answered meanwhile, and none waits for Redis
    for answer in await asyncio.gather(*creates, *events, *reads):
        await assert_unavailable(answer)
    assert await is_not_ready(front)
    assert (await front.get("/healthz")).status == 200

    hanging(False)
    await until(lambda: is_ready(front))
    assert (await deliver(front)).status == 200
    await workers.take("events.receive")


async def test_those_who_were_waiting_when_redis_began_to_hang_are_told_after_a_while(
    front: Any, shop: dict[str, str], order: Any, hanging: Callable[[bool], None], deliver: Send
) -> None:
    await until(lambda: is_ready(front))
    hanging(True)

    # Before the guard can know; more than there are connections.
    answers = await asyncio.gather(
        deliver(front), *[front.post("/payments/checkout/create", json=order, headers=shop) for _ in range(60)]
    )

    for answer in answers:
        await assert_unavailable(answer)


async def test_beyond_the_bound_of_what_may_wait_to_be_sent_webhooks_are_refused(
    front: Any, deliver: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Enqueuer, "accepting", property(lambda self: False))

    assert "Too many" in await assert_unavailable(await deliver(front))


async def test_beyond_the_bound_of_waiting_commands_the_answer_is_202_at_once(
    front: Any, workers: Any, shop: dict[str, str], order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front.app[context.FRONT].waiter, "_limit", 1)
    first = asyncio.create_task(front.post("/payments/checkout/create", json=order, headers=shop))
    message = await workers.take("checkout.create")

    second = await front.post("/payments/checkout/create", json={**order, "auctionId": str(uuid.uuid4())}, headers=shop)

    assert second.status == 202
    assert second.headers["Location"]
    await workers.take("checkout.create")
    workers.answer(message, 201, {"paymentSession": {"id": "x"}})
    assert (await first).status == 201


async def test_a_command_that_stripe_keeps_waiting_is_answered_as_soon_as_workers_say_so(
    front: Any, workers: Any, shop: dict[str, str], order: Any
) -> None:
    # Given: a create that would wait for half a minute
    headers = {**shop, "Idempotency-Key": str(uuid.uuid4())}
    waiting = asyncio.create_task(front.post("/payments/checkout/create", json=order, headers=headers))
    message = await workers.take("checkout.create")
    # When: the workers say why it will take long
    operation_id, given = uuid.UUID(message.kwargs["operation_id"]), message.kwargs
    told = {"code": "stripe_unavailable", "detail": "Stripe does not answer."}
    workers.publish.delay(operation_id, Outcome(202, told, given["client"], given["fingerprint"]))
    # Then: so does the answer, with the place to look at, which tells it, too
    answer = await waiting
    state = {"id": str(operation_id), "status": "pending", **told}
    assert (answer.status, await answer.json()) == (202, {"operation": state})
    assert int(answer.headers["Retry-After"]) > 1
    looking = asyncio.create_task(front.get(answer.headers["Location"], headers=shop))
    workers.reply(await workers.take("operations.find"), 202, {}, given["client"])
    assert (await (await looking).json())["operation"] == state
    # And: the outcome goes before it
    workers.answer(message, 201, {"paymentSession": {"id": "x"}})
    again = await front.post("/payments/checkout/create", json=order, headers=headers)
    assert again.status == 201
