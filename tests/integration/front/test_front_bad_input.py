"""Bad input: each a clear error of the right status, nothing enqueued, nothing secret in the logs."""

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest

CREATE = "/payments/checkout/create"
JSON = {"Content-Type": "application/json"}


async def expect(response: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(await response.text())
    assert (response.status, body["code"], body["status"]) == (status, code, status)
    assert response.content_type == "application/problem+json"
    assert set(body) >= {"type", "title", "detail"}
    return body


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 1.005}, "amount"),
        ({"amount": 0.10}, "amount"),
        ({"amount": 10_000_000_000_000}, "amount"),
        ({"amount": "275.50"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"auctionId": "17"}, "auctionId"),
        ({"returnUrl": "https://evil.example/"}, "returnUrl"),
        ({"cancelUrl": "https://shop.example@evil.example/"}, "cancelUrl"),
        ({"metadata": {}}, "metadata"),
    ],
)
async def test_a_broken_rule_is_a_422_that_names_the_field(
    front: Any, workers: Any, shop: dict[str, str], order: Any, changes: Any, field: str
) -> None:
    response = await front.post(CREATE, json={**order, **changes}, headers=shop)
    body = await expect(response, 422, "invalid_request")
    assert [each["field"] for each in body["errors"]] == [field]
    assert await workers.nothing_queued()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xff\xfe",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e99999999999999999999}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b"[" * 20_000,
    ],
)
async def test_what_is_not_json_is_a_400(front: Any, workers: Any, shop: dict[str, str], body: bytes) -> None:
    await expect(await front.post(CREATE, data=body, headers={**shop, **JSON}), 400, "malformed_json")
    assert await workers.nothing_queued()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_another_content_type_is_a_415(
    front: Any, workers: Any, shop: dict[str, str], order: Any, headers: dict[str, str]
) -> None:
    response = await front.post(CREATE, data=json.dumps(order).encode(), headers={**shop, **headers})
    await expect(response, 415, "unsupported_media_type")
    assert await workers.nothing_queued()


async def test_an_oversized_body_is_a_413_whether_or_not_its_length_was_announced(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    big = b'{"description": "' + b"x" * 70_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(big), 8192):
            yield big[start : start + 8192]

    await expect(await front.post(CREATE, data=big, headers={**shop, **JSON}), 413, "body_too_large")
    await expect(await front.post(CREATE, data=chunks(), headers={**shop, **JSON}), 413, "body_too_large")
    assert await workers.nothing_queued()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer pwk_wrong",
        "Basic pwk_checkout-and-read",
        "pwk_checkout-and-read",
        "Bearer é",
    ],
)
async def test_a_missing_or_wrong_key_is_a_401(front: Any, workers: Any, order: Any, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await front.post(CREATE, json=order, headers=headers)
    await expect(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert await workers.nothing_queued()


async def test_a_buyer_token_is_no_key(
    front: Any, workers: Any, order: Any, token: Callable[[uuid.UUID], str], bearer: Callable[[str], dict[str, str]]
) -> None:
    session = uuid.uuid4()
    headers = bearer(token(session))
    await expect(await front.post(CREATE, json=order, headers=headers), 401, "unauthenticated")
    await expect(await front.post(f"/payments/checkout/{session}/cancel", headers=headers), 401, "unauthenticated")
    assert await workers.nothing_queued()


@pytest.mark.parametrize("key", ["pwk_read-only", "pwk_admin-only"])
async def test_a_key_without_the_scope_is_a_403(
    front: Any, workers: Any, order: Any, bearer: Callable[[str], dict[str, str]], key: str
) -> None:
    await expect(await front.post(CREATE, json=order, headers=bearer(key)), 403, "forbidden")
    cancel = await front.post(f"/payments/checkout/{uuid.uuid4()}/cancel", headers=bearer(key))
    await expect(cancel, 403, "forbidden")
    assert await workers.nothing_queued()


async def test_reading_needs_its_scope_too(front: Any, bearer: Callable[[str], dict[str, str]]) -> None:
    for path in ("checkout/{}/status", "checkout/{}/window", "receipts/{}", "receipts/{}/download"):
        response = await front.get(f"/payments/{path.format(uuid.uuid4())}", headers=bearer("pwk_admin-only"))
        await expect(response, 403, "forbidden")


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "é"])
async def test_a_bad_idempotency_key_is_a_400(
    front: Any, workers: Any, shop: dict[str, str], order: Any, key: str
) -> None:
    response = await front.post(CREATE, json=order, headers={**shop, "Idempotency-Key": key})
    await expect(response, 400, "invalid_header")
    assert await workers.nothing_queued()


async def test_a_malformed_id_in_the_path_is_a_404(front: Any, shop: dict[str, str]) -> None:
    for path in ("checkout/17/status", "checkout/17/window", "operations/17", "receipts/17", "receipts/17/download"):
        await expect(await front.get(f"/payments/{path}", headers=shop), 404, "not_found")
    await expect(await front.post("/payments/checkout/17/cancel", headers=shop), 404, "not_found")


async def test_unknown_addresses_and_methods_are_problems(front: Any) -> None:
    await expect(await front.get("/payments/nothing"), 404, "not_found")
    response = await front.get(CREATE)
    await expect(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


async def test_every_answer_has_its_request_id_and_the_security_headers(front: Any) -> None:
    for path in ("/healthz", "/payments/nothing", "/static/pay.css", f"/pay/{uuid.uuid4()}"):
        response = await front.get(path, headers={"X-Request-Id": "trace-17"})
        assert response.headers["X-Request-Id"] == "trace-17"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert "aiohttp" not in response.headers["Server"]


async def test_nothing_secret_is_logged(
    front: Any,
    workers: Any,
    order: Any,
    caplog: pytest.LogCaptureFixture,
    token: Callable[[uuid.UUID], str],
    stripe_signature: Callable[..., dict[str, str]],
    bearer: Callable[[str], dict[str, str]],
) -> None:
    # Given: everything that can carry a secret, right and wrong
    caplog.set_level(logging.DEBUG)
    session = uuid.uuid4()
    buyer_token = token(session)
    body = b'{"secret-body": true}'
    signed = stripe_signature(body)
    # When: it is sent
    await front.post(
        CREATE, json={**order, "buyerEmail": "secret@mail example"}, headers=bearer("pwk_checkout-and-read")
    )
    await front.post(CREATE, json=order, headers=bearer("pwk_wrong-key"))
    await front.get(f"/pay/{session}?token={buyer_token}", allow_redirects=False)
    await front.get(f"/pay/{uuid.uuid4()}?token={buyer_token}", headers={"Referer": f"https://x/?token={buyer_token}"})
    await front.get(f"/payments/checkout/{uuid.uuid4()}/status", headers=bearer(buyer_token))
    await front.post("/payments/webhooks/stripe", data=body, headers=signed)
    await front.post("/payments/webhooks/stripe", data=body, headers=stripe_signature(body, secret="whsec_x"))
    # Then: the logs tell that it happened, and none of it
    text = caplog.text
    assert f"GET /pay/{session} 303" in text
    assert "webhook refused: no_match" in text
    secrets = ["pwk_", buyer_token, buyer_token.partition(".")[2], "secret-body", "whsec", "secret@mail"]
    secrets += [signed["Stripe-Signature"].partition("v1=")[2], "token-signing-secret", "link-signing-secret"]
    assert [each for each in secrets if each in text] == []
