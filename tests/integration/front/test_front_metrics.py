"""What the front end counts: requests by route and never by address, webhooks by the secret that signed them."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

Front = Any


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def requests(route: str, method: str, status: int) -> float:
    return value("payments_http_requests_total", route=route, method=method, status=str(status))


def signed(secret: str) -> tuple[bytes, dict[str, str]]:
    event = {"id": "evt_1", "object": "event", "type": "customer.created", "livemode": False, "data": {"object": {}}}
    body, now = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"Stripe-Signature": f"t={now},v1={signature}"}


async def test_requests_are_counted_by_route_with_its_placeholders(front: Front, shop: dict[str, str]) -> None:
    route = "/payments/checkout/{id}/status"
    before = requests(route, "GET", 401), value("payments_http_request_seconds_count", route=route)

    for _ in range(2):
        await front.get(f"/payments/checkout/{uuid.uuid4()}/status")

    assert requests(route, "GET", 401) - before[0] == 2
    assert value("payments_http_request_seconds_count", route=route) - before[1] == 2


async def test_foreign_addresses_and_methods_make_no_labels_of_their_own(front: Front) -> None:
    before = requests("other", "GET", 404), requests("other", "other", 405)

    await front.get(f"/wp-login/{uuid.uuid4()}.php")
    await front.request("PROPFIND", "/healthz")

    assert requests("other", "GET", 404) - before[0] == 1
    assert requests("other", "other", 405) - before[1] == 1


@pytest.mark.parametrize(("secret", "place"), [("whsec_new", "0"), ("whsec_old", "1")])
async def test_a_webhook_is_counted_by_the_place_of_the_secret_that_signed_it(
    make_front: Callable[..., Awaitable[Front]], secret: str, place: str
) -> None:
    front = await make_front(STRIPE_WEBHOOK_SECRET="whsec_new,whsec_old")
    before = value("payments_webhook_accepted_total", secret=place)
    body, headers = signed(secret)

    answer = await front.post("/payments/webhooks/stripe", data=body, headers=headers)

    assert answer.status == 200
    assert value("payments_webhook_accepted_total", secret=place) - before == 1


async def test_a_refused_webhook_is_counted_by_its_reason(front: Front) -> None:
    before = value("payments_webhook_rejected_total", reason="no_match")
    body, headers = signed("whsec_strangers")

    answer = await front.post("/payments/webhooks/stripe", data=body, headers=headers)

    assert answer.status == 400
    assert value("payments_webhook_rejected_total", reason="no_match") - before == 1


def test_reasons_and_secrets_start_at_nought() -> None:
    assert REGISTRY.get_sample_value("payments_webhook_rejected_total", {"reason": "in_future"}) is not None
