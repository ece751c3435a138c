"""Stripe's events: verified, looked at, queued, and only then confirmed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from paywindow.embedded import EmbeddedRedis

PATH = "/payments/webhooks/stripe"
Sign = Callable[..., dict[str, str]]


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1Abc",
        "object": "event",
        "type": "charge.succeeded",
        "livemode": False,
        "data": {"object": {"id": "ch_1"}},
        **changes,
    }


def rejections(reason: str) -> float:
    return REGISTRY.get_sample_value("payments_webhook_rejected_total", {"reason": reason}) or 0.0


async def refused(front: Any, body: bytes, headers: dict[str, str], status: int, code: str, reason: str) -> None:
    before = rejections(reason)
    response = await front.post(PATH, data=body, headers=headers)
    assert (response.status, (await response.json())["code"]) == (status, code)
    assert rejections(reason) == before + 1


async def test_an_event_is_queued_exactly_as_it_came(front: Any, workers: Any, stripe_signature: Sign) -> None:
    body = json.dumps(event(note="é"), indent=2, ensure_ascii=False).encode()
    response = await front.post(PATH, data=body, headers=stripe_signature(body))
    assert (response.status, await response.json()) == (200, {"received": True})
    message = await workers.take("events.receive")
    assert message.kwargs["body"].encode() == body
    assert message.kwargs["received_at"].endswith("+00:00")


@pytest.mark.parametrize("odd", [r'"half of a pair: \ud83d"', "1e400", "12345678901234567890123"])
async def test_an_event_that_a_stricter_parser_would_refuse_is_taken(
    front: Any, workers: Any, stripe_signature: Sign, odd: str
) -> None:
    body = json.dumps(event(note=0)).replace('"note": 0', f'"note": {odd}').encode()
    assert (await front.post(PATH, data=body, headers=stripe_signature(body))).status == 200
    assert (await workers.take("events.receive")).kwargs["body"].encode() == body


async def test_an_event_of_an_unknown_type_is_taken_too(front: Any, workers: Any, stripe_signature: Sign) -> None:
    body = json.dumps(event(type="invented.yesterday")).encode()
    assert (await front.post(PATH, data=body, headers=stripe_signature(body))).status == 200
    await workers.take("events.receive")


async def test_while_the_secret_is_rolled_the_old_one_verifies(
    front: Any, workers: Any, stripe_signature: Sign
) -> None:
    body = json.dumps(event()).encode()
    headers = stripe_signature(body, secret="whsec_old-secret")
    assert (await front.post(PATH, data=body, headers=headers)).status == 200
    await workers.take("events.receive")


async def test_a_bad_old_or_future_signature_is_refused(front: Any, workers: Any, stripe_signature: Sign) -> None:
    body = json.dumps(event()).encode()
    cases = {
        "missing": {},
        "malformed": {"Stripe-Signature": "v1=é,,t"},
        "no_match": stripe_signature(body + b" "),
        "too_old": stripe_signature(body, age=310),
        "in_future": stripe_signature(body, age=-310),
    }
    for reason, headers in cases.items():
        await refused(front, body, headers, 400, "invalid_signature", reason)
    assert await workers.nothing_queued()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"{}",
        b"[" * 50_000,
        b'{"id": NaN}',
        b'{"id": 1e99999999999999999999}',
        # Events, but for a part that the workers' parser would stumble over
        json.dumps(event(fee=0)).replace('"fee": 0', '"fee": -1E-99999999999999999999').encode(),
        json.dumps(event(deep=0)).replace('"deep": 0', '"deep": ' + "[" * 5000 + "]" * 5000).encode(),
        json.dumps(event(object="charge")).encode(),
        json.dumps(event(id="ch_1")).encode(),
        json.dumps(event(id=17)).encode(),
        json.dumps(event(id="evt_" + "x" * 300)).encode(),
        json.dumps(event(id="evt_1\n")).encode(),
        json.dumps(event(type="")).encode(),
        json.dumps(event(type=None)).encode(),
        json.dumps(event(livemode="false")).encode(),
        json.dumps(event(data=[])).encode(),
        json.dumps(event(data={"object": "ch_1"})).encode(),
    ],
)
async def test_junk_under_a_valid_signature_is_refused(
    front: Any, workers: Any, stripe_signature: Sign, body: bytes
) -> None:
    await refused(front, body, stripe_signature(body), 400, "invalid_event", "invalid_event")
    assert await workers.nothing_queued()


async def test_an_oversized_event_is_refused_unread(make_front: Any, workers: Any, stripe_signature: Sign) -> None:
    front = await make_front(WEBHOOK_MAX_BODY_BYTES="65536")
    body = json.dumps(event(padding="x" * 70_000)).encode()
    await refused(front, body, stripe_signature(body), 413, "body_too_large", "body_too_large")
    assert await workers.nothing_queued()


async def test_no_event_is_confirmed_that_redis_does_not_have(
    front: Any, workers: Any, stripe_signature: Sign, redis_server: EmbeddedRedis
) -> None:
    # Given: Redis is gone
    redis_server.stop()
    body = json.dumps(event()).encode()
    # Then: Stripe is told to come again
    response = await front.post(PATH, data=body, headers=stripe_signature(body))
    assert (response.status, (await response.json())["code"]) == (503, "unavailable")
    assert "Retry-After" in response.headers
    # And: once Redis is back, the same front end takes it
    redis_server.start()
    assert (await front.post(PATH, data=body, headers=stripe_signature(body))).status == 200
    await workers.take("events.receive")
