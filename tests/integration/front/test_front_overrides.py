"""Moving a session along over HTTP: who may, what is sent on, and how much time the window has left."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paywindow import clock

#: Each override with its actor, and a good body.
OVERRIDES: list[tuple[str, str, dict[str, Any]]] = [
    ("expire", "window.expire", {"reason": "seller withdrew"}),
    ("extend", "window.extend", {"reason": "bank holiday", "minutes": 90}),
    ("reopen", "window.reopen", {"reason": "buyer called", "until": "2030-01-31T10:30:00+01:00"}),
    ("grant-retry", "payment.grant_retry", {"reason": "bank mended"}),
]
each_override = pytest.mark.parametrize(("name", "actor", "body"), OVERRIDES, ids=[each[0] for each in OVERRIDES])


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
def boss(bearer: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The header of an admin's key, which has no other scope."""
    return bearer("pwk_admin-only")


@pytest.fixture
def closing_in(workers: Any, snapshot: Any, session_id: uuid.UUID, clock_file: Path) -> Callable[[timedelta], datetime]:
    """Publishes the session with a window that ends so much later; tells when that is. The clock can then be moved."""

    def publish(length: timedelta) -> datetime:
        ends = clock.now() + length
        ends_ms = int(ends.timestamp() * 1000)
        workers.publish.session(session_id, snapshot(session_id, expires_ms=ends_ms, closes_ms=ends_ms))
        return ends

    return publish


async def problem(response: Any) -> tuple[int, str]:
    body = json.loads(await response.text())
    assert response.content_type == "application/problem+json"
    return response.status, body["code"]


def override(session_id: Any, name: str) -> str:
    return f"/payments/checkout/{session_id}/{name}"


def window(session_id: Any) -> str:
    return f"/payments/checkout/{session_id}/window"


# Overrides


@each_override
async def test_an_override_is_a_command_of_the_admins_key(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID, name: str, actor: str, body: Any
) -> None:
    waiting = asyncio.create_task(front.post(override(session_id, name), json=body, headers=boss))
    message = await workers.take(actor)
    assert message.kwargs["client"] == "boss"
    sent = message.kwargs["request"]
    assert (sent["session_id"], sent["reason"]) == (str(session_id), body["reason"])
    workers.answer(message, 200, {"paymentSession": {"id": str(session_id)}})
    response = await waiting
    assert (response.status, await response.json()) == (200, {"paymentSession": {"id": str(session_id)}})


async def test_a_deadline_travels_as_minutes_or_as_a_moment_in_utc(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID
) -> None:
    at_once = {**boss, "Prefer": "wait=0"}
    await front.post(override(session_id, "extend"), json={"reason": "x", "minutes": 90}, headers=at_once)
    by_minutes = (await workers.take("window.extend")).kwargs["request"]
    assert (by_minutes["minutes"], by_minutes["until"]) == (90, None)
    body = {"reason": "x", "until": "2030-01-31T10:30:00+01:00"}
    await front.post(override(session_id, "reopen"), json=body, headers=at_once)
    until = (await workers.take("window.reopen")).kwargs["request"]
    assert (until["minutes"], until["until"]) == (None, "2030-01-31T09:30:00+00:00")


@each_override
async def test_an_override_that_comes_too_late_is_a_409_that_says_so(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID, name: str, actor: str, body: Any
) -> None:
    waiting = asyncio.create_task(front.post(override(session_id, name), json=body, headers=boss))
    workers.answer(await workers.take(actor), 409, {"code": "already_paid", "status": 409})
    assert await problem(await waiting) == (409, "already_paid")


@each_override
async def test_without_a_key_nobody_overrides(
    front: Any, workers: Any, session_id: uuid.UUID, token: Any, bearer: Any, name: str, actor: str, body: Any
) -> None:
    cookie = {"Cookie": f"pw_{session_id.hex}={token(session_id)}"}
    for headers in ({}, bearer("pwk_wrong"), bearer(token(session_id)), cookie):
        response = await front.post(override(session_id, name), json=body, headers=headers)
        assert await problem(response) == (401, "unauthenticated")
    assert await workers.nothing_queued()


@each_override
@pytest.mark.parametrize("key", ["pwk_read-only", "pwk_checkout-and-read"])
async def test_a_key_without_the_admin_scope_does_not_override(
    front: Any, workers: Any, session_id: uuid.UUID, bearer: Any, name: str, actor: str, body: Any, key: str
) -> None:
    response = await front.post(override(session_id, name), json=body, headers=bearer(key))
    assert await problem(response) == (403, "forbidden")
    assert await workers.nothing_queued()


@each_override
async def test_an_override_needs_a_reason(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID, name: str, actor: str, body: Any
) -> None:
    without = {field: value for field, value in body.items() if field != "reason"}
    for request in ({"json": without}, {"json": {**body, "reason": " "}}):
        response = await front.post(override(session_id, name), headers=boss, **request)
        assert response.status == 422
        assert [each["field"] for each in (await response.json())["errors"]] == ["reason"]
    empty = await front.post(override(session_id, name), headers=boss)
    assert "reason" in [each["field"] for each in (await empty.json())["errors"]]
    assert await workers.nothing_queued()


@pytest.mark.parametrize("name", ["extend", "reopen"])
@pytest.mark.parametrize(
    ("deadline", "field", "rule"),
    [
        ({}, "until", "is required, unless minutes is given"),
        ({"minutes": None, "until": None}, "until", "is required, unless minutes is given"),
        ({"minutes": 5, "until": "2030-01-31T10:30:00Z"}, "until", "must be left out when minutes is given"),
        ({"minutes": 0}, "minutes", "must be at least 1"),
        ({"minutes": 43_201}, "minutes", "must be at most 43200"),
        ({"minutes": "5"}, "minutes", "must be an integer"),
        ({"until": "2030-01-31T10:30:00"}, "until", "must be a moment with a time zone"),
        ({"until": "0001-01-01T00:00:00+23:59"}, "until", "must be a moment with a time zone"),
        ({"until": 17}, "until", "must be a string"),
    ],
)
async def test_a_deadline_that_cannot_be_meant_names_its_field_and_rule(
    front: Any,
    workers: Any,
    boss: dict[str, str],
    session_id: uuid.UUID,
    name: str,
    deadline: Any,
    field: str,
    rule: str,
) -> None:
    response = await front.post(override(session_id, name), json={"reason": "x", **deadline}, headers=boss)
    body = json.loads(await response.text())
    assert (response.status, body["code"]) == (422, "invalid_request")
    (error,) = body["errors"]
    assert error["field"] == field
    assert error["rule"].startswith(rule)
    assert await workers.nothing_queued()


async def test_what_is_not_json_or_not_a_session_is_refused(front: Any, workers: Any, boss: dict[str, str]) -> None:
    plain = {**boss, "Content-Type": "text/plain"}
    for name, _, body in OVERRIDES:
        assert await problem(await front.post(override(17, name), json=body, headers=boss)) == (404, "not_found")
        somewhere = override(uuid.uuid4(), name)
        assert (await front.post(somewhere, data="reason=x", headers=plain)).status == 415
        assert (await front.post(somewhere, json=["reason"], headers=boss)).status == 422
        assert (await front.get(somewhere, headers=boss)).status == 405
    assert await workers.nothing_queued()


@each_override
async def test_an_unknown_session_is_a_404_from_the_actor(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID, name: str, actor: str, body: Any
) -> None:
    waiting = asyncio.create_task(front.post(override(session_id, name), json=body, headers=boss))
    workers.answer(await workers.take(actor), 404, {"code": "not_found", "status": 404})
    assert await problem(await waiting) == (404, "not_found")


async def test_a_repeated_key_is_one_operation_and_with_another_override_a_409(
    front: Any, workers: Any, boss: dict[str, str], session_id: uuid.UUID
) -> None:
    headers = {**boss, "Idempotency-Key": "holiday"}
    body = {"reason": "bank holiday", "minutes": 90}
    waiting = asyncio.create_task(front.post(override(session_id, "extend"), json=body, headers=headers))
    workers.answer(await workers.take("window.extend"), 200, {"paymentSession": {}})
    await waiting
    again = await front.post(override(session_id, "extend"), json=body, headers=headers)
    assert again.status == 200
    for name, other in (("extend", {**body, "minutes": 91}), ("reopen", body)):
        response = await front.post(override(session_id, name), json=other, headers=headers)
        assert await problem(response) == (409, "idempotency_key_reused")
    other_session = await front.post(override(uuid.uuid4(), "extend"), json=body, headers=headers)
    assert await problem(other_session) == (409, "idempotency_key_reused")
    assert await workers.queued("window.extend") == 0


async def test_an_admin_finds_the_outcome_later_and_others_do_not(
    front: Any, workers: Any, boss: dict[str, str], shop: dict[str, str], session_id: uuid.UUID
) -> None:
    accepted = await front.post(
        override(session_id, "expire"), json={"reason": "x"}, headers={**boss, "Prefer": "wait=0"}
    )
    assert accepted.status == 202
    workers.answer(await workers.take("window.expire"), 200, {"paymentSession": {"status": "expired"}})
    assert (await front.get(accepted.headers["Location"], headers=boss)).status == 200
    assert (await front.get(accepted.headers["Location"], headers=shop)).status == 404


# The window


async def test_the_window_tells_what_is_left_by_the_servers_clock(
    front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID, closing_in: Any, clock_file: Path
) -> None:
    # Given: a window of an hour
    ends = closing_in(timedelta(hours=1))
    # When: twenty minutes of business time pass
    clock.set_offset(clock_file, timedelta(minutes=20))
    before = clock.now()
    response = await front.get(window(session_id), headers=shop)
    after = clock.now()
    # Then: forty are left, and the answer says by which clock
    body = await response.json()
    assert response.headers["Cache-Control"] == "no-store"
    assert set(body) == {"expiresAt", "remainingMs", "serverNow", "closing"}
    assert body["expiresAt"] == clock.isoformat(ends)
    assert (
        (ends - after) // timedelta(milliseconds=1)
        <= body["remainingMs"]
        <= (ends - before) / timedelta(milliseconds=1)
    )
    spoken = datetime.fromisoformat(body["serverNow"])
    assert before - timedelta(milliseconds=1) <= spoken <= after
    assert abs((ends - spoken) - timedelta(milliseconds=body["remainingMs"])) < timedelta(milliseconds=2)
    assert body["serverNow"].endswith("Z")
    assert body["closing"] is False
    assert await workers.nothing_queued()


async def test_from_the_deadline_on_the_window_is_closing_with_nothing_left(
    front: Any, shop: dict[str, str], session_id: uuid.UUID, closing_in: Any, clock_file: Path
) -> None:
    ends = closing_in(timedelta(hours=1))
    clock.set_offset(clock_file, timedelta(hours=1, seconds=1))
    body = await (await front.get(window(session_id), headers=shop)).json()
    assert (body["remainingMs"], body["closing"], body["expiresAt"]) == (0, True, clock.isoformat(ends))


async def test_an_extended_window_is_told_from_its_next_publication_on(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID, closing_in: Any
) -> None:
    ends = closing_in(timedelta(hours=1)) + timedelta(hours=2)
    ends_ms = int(ends.timestamp() * 1000)
    workers.publish.session(session_id, snapshot(session_id, version=2, expires_ms=ends_ms, closes_ms=ends_ms))
    body = await (await front.get(window(session_id), headers=shop)).json()
    assert body["expiresAt"] == clock.isoformat(ends)
    assert body["remainingMs"] > 2 * 3_600_000


async def test_a_session_that_waits_for_nothing_has_nothing_left(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], session_id: uuid.UUID
) -> None:
    # Given: a paid session, whose window would still be open
    ends_ms = int((clock.now() + timedelta(hours=1)).timestamp() * 1000)
    workers.publish.session(session_id, snapshot(session_id, status="completed", expires_ms=ends_ms, closes_ms=0))
    body = await (await front.get(window(session_id), headers=shop)).json()
    assert (body["remainingMs"], body["closing"]) == (0, False)


async def test_the_window_is_for_the_marketplace_and_for_the_sessions_own_buyer(
    front: Any, workers: Any, boss: Any, bearer: Any, session_id: uuid.UUID, closing_in: Any, token: Any
) -> None:
    closing_in(timedelta(hours=1))
    other = uuid.uuid4()
    cookie = {"Cookie": f"pw_{session_id.hex}={token(session_id)}"}
    for headers in (bearer("pwk_read-only"), bearer(token(session_id)), cookie):
        assert (await front.get(window(session_id), headers=headers)).status == 200
    foreign_cookie = {"Cookie": f"pw_{session_id.hex}={token(other)}"}
    for headers in ({}, bearer("pwk_wrong"), bearer(token(other)), bearer("junk"), foreign_cookie):
        assert await problem(await front.get(window(session_id), headers=headers)) == (401, "unauthenticated")
    assert await problem(await front.get(window(session_id), headers=boss)) == (403, "forbidden")


async def test_the_window_of_an_unknown_session_is_a_404(
    front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID, token: Any, bearer: Any
) -> None:
    workers.publish.unknown_session(session_id)
    for headers in (shop, bearer(token(session_id))):
        assert await problem(await front.get(window(session_id), headers=headers)) == (404, "not_found")
    assert await problem(await front.get(window(17), headers=shop)) == (404, "not_found")
