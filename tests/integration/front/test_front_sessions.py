"""The list of sessions and new links for buyers, over HTTP; and the interface's own pages."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from paywindow import cursors

DAY_MS = 86_400_000


async def test_a_list_is_asked_of_the_workers_with_all_filters_and_answered_as_they_answer(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    maker, cursor = str(uuid.uuid4()), cursors.encode(datetime(2026, 11, 23, tzinfo=UTC), uuid.uuid4())
    query = [
        *(("status", each) for each in ("pending", "failed")),
        ("makerId", maker),
        ("held", "false"),
        ("createdFrom", "2026-11-23T10:00:00+02:00"),
        ("limit", "5"),
        ("cursor", cursor),
    ]
    waiting = asyncio.create_task(front.get("/payments/sessions", params=query, headers=shop))
    message = await workers.take("sessions.find")
    assert message.kwargs["query"] == {
        "status": ["pending", "failed"],
        "auction_id": None,
        "buyer_id": None,
        "maker_id": maker,
        "held": False,
        "created_from": "2026-11-23T08:00:00+00:00",
        "created_before": None,
        "limit": 5,
        "cursor": cursor,
    }
    workers.reply(message, 200, {"paymentSessions": [], "nextCursor": None})
    response = await waiting
    assert (response.status, await response.json()) == (200, {"paymentSessions": [], "nextCursor": None})


async def test_without_filters_everything_is_asked_for_twenty_at_a_time(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    waiting = asyncio.create_task(front.get("/payments/sessions", headers=shop))
    message = await workers.take("sessions.find")
    assert {name: value for name, value in message.kwargs["query"].items() if value is not None} == {"limit": 20}
    workers.reply(message, 200, {"paymentSessions": [], "nextCursor": None})
    assert (await waiting).status == 200


@pytest.mark.parametrize(
    "query, field, rule",
    [
        ("status=paid", "status.0", "must be one of"),
        ("status=", "status.0", "must be one of"),
        ("buyerId=17", "buyerId", "UUID"),
        ("buyerId=17&buyerId=18", "buyerId", "given once"),
        ("held=yes", "held", "true or false"),
        ("createdFrom=2026-11-23", "createdFrom", "RFC 3339"),
        ("createdBefore=2026-02-30T00:00:00Z", "createdBefore", "RFC 3339"),
        ("limit=0", "limit", "from 1 to 100"),
        ("limit=101", "limit", "from 1 to 100"),
        ("limit=1.5", "limit", "from 1 to 100"),
        ("cursor=", "cursor", "nextCursor"),
        ("cursor=" + "A" * 31, "cursor", "nextCursor"),
        ("cursor=" + "z" * 32, "cursor", "nextCursor"),
        ("state=pending", "state", "not a known field"),
    ],
)
async def test_a_query_that_breaks_a_rule_is_told_which(
    front: Any, workers: Any, shop: dict[str, str], query: str, field: str, rule: str
) -> None:
    response = await front.get(f"/payments/sessions?{query}", headers=shop)
    body = await response.json()
    assert (response.status, body["code"], [each["field"] for each in body["errors"]]) == (
        422,
        "invalid_request",
        [field],
    )
    assert rule in body["errors"][0]["rule"]
    assert await workers.nothing_queued()


async def test_a_new_link_opens_the_session_and_says_until_when(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], bearer: Any
) -> None:
    session_id = uuid.uuid4()
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    expires_ms = int(ends.timestamp() * 1000) - 14 * DAY_MS
    workers.publish.session(session_id, snapshot(session_id, expires_ms=expires_ms))
    response = await front.post(f"/payments/checkout/{session_id}/buyer-token", headers=shop)
    body = await response.json()

    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    assert body["expiresAt"] == "2100-01-01T00:00:00Z"
    assert body["payUrl"] == f"https://pay.example/pay/{session_id}?token={body['token']}"
    opened = await front.get(f"/payments/checkout/{session_id}/status", headers=bearer(body["token"]))
    assert opened.status == 200


async def test_a_new_link_is_signed_with_the_newest_secret(
    make_front: Any, workers: Any, snapshot: Any, shop: dict[str, str], bearer: Any
) -> None:
    session_id = uuid.uuid4()
    workers.publish.session(session_id, snapshot(session_id))
    rotating = await make_front(BUYER_TOKEN_SECRETS="the-new-one,token-signing-secret")
    body = await (await rotating.post(f"/payments/checkout/{session_id}/buyer-token", headers=shop)).json()

    after = await make_front(BUYER_TOKEN_SECRETS="the-new-one")
    assert (await after.get(f"/payments/checkout/{session_id}/status", headers=bearer(body["token"]))).status == 200


async def test_no_link_is_given_out_for_a_session_that_is_unknown_or_whose_links_are_over(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str]
) -> None:
    unknown, over = uuid.uuid4(), uuid.uuid4()
    workers.publish.unknown_session(unknown)
    workers.publish.session(over, snapshot(over, expires_ms=1_000))
    for session_id, status, code in ((unknown, 404, "not_found"), (over, 409, "session_expired")):
        response = await front.post(f"/payments/checkout/{session_id}/buyer-token", headers=shop)
        assert (response.status, (await response.json())["code"]) == (status, code)


async def test_the_interface_is_shown_without_anything_from_elsewhere(front: Any) -> None:
    response = await front.get("/docs")
    text = await response.text()
    assert (response.status, response.content_type) == (200, "text/html")
    assert "<script" not in text
    assert " style=" not in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for path in ("/static/docs.css", "/static/icon.svg", "/openapi.json"):
        assert f'"{path}"' in text
        assert (await front.get(path)).status == 200
    described = (await (await front.get("/openapi.json")).json())["paths"]
    for path, methods in described.items():
        assert f"<code>{path}</code>" in text
        assert all(f'id="{operation["operationId"]}"' in text for operation in methods.values())
