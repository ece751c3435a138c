"""Reading a session: who may, which shape they get, and what happens when Redis does not hold it."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from paywindow import clock


def status(session_id: uuid.UUID) -> str:
    return f"/payments/checkout/{session_id}/status"


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


async def test_the_marketplace_reads_its_shape_with_the_fees(
    front: Any, workers: Any, shop: dict[str, str], snapshot: Any, session_id: uuid.UUID
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    response = await front.get(status(session_id), headers=shop)
    assert response.status == 200
    assert (await response.json())["transaction"]["fees"]["platformFee"] == 12
    assert "no-cache" in response.headers["Cache-Control"]
    assert await workers.nothing_queued()


@pytest.mark.parametrize("way", ["header", "query", "cookie"])
async def test_the_buyer_reads_a_shape_without_fees(
    front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str], way: str
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    text = token(session_id)
    request = {
        "header": {"headers": {"Authorization": f"Bearer {text}"}},
        "query": {"params": {"token": text}},
        "cookie": {"headers": {"Cookie": f"pw_{session_id.hex}={text}"}},
    }[way]
    response = await front.get(status(session_id), **request)
    assert response.status == 200
    assert (await response.json())["transaction"] is None


async def test_a_token_opens_only_its_own_session(
    front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    other, right = token(uuid.uuid4()), token(session_id)
    name, signature = right.split(".")
    forged = f"{name}.{signature[::-1]}"
    for text in (other, forged, right.partition(".")[0], "", "junk", "é", session_id.hex):
        assert (await front.get(status(session_id), params={"token": text})).status == 401
        cookie = {"Cookie": f"pw_{session_id.hex}={text.encode('ascii', 'ignore').decode()}"}
        assert (await front.get(status(session_id), headers=cookie)).status == 401
    assert (await front.get(status(session_id))).status == 401
    # A wrong explicit token is not rescued by a right cookie.
    both = await front.get(
        status(session_id), params={"token": other}, headers={"Cookie": f"pw_{session_id.hex}={right}"}
    )
    assert both.status == 401


@pytest.mark.parametrize(("days_after_the_window", "expected"), [(13.9, 200), (14.1, 401)])
async def test_a_token_is_good_until_its_window_plus_some_days(
    front: Any,
    workers: Any,
    snapshot: Any,
    session_id: uuid.UUID,
    token: Callable[[uuid.UUID], str],
    days_after_the_window: float,
    expected: int,
) -> None:
    expires = clock.now() - timedelta(days=days_after_the_window)
    workers.publish.session(session_id, snapshot(session_id, expires_ms=int(expires.timestamp() * 1000)))
    response = await front.get(status(session_id), params={"token": token(session_id)})
    assert response.status == expected


async def test_tokens_of_a_rotated_secret_stay_good(
    make_front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    front = await make_front(BUYER_TOKEN_SECRETS="newer-secret,token-signing-secret")
    workers.publish.session(session_id, snapshot(session_id))
    assert (await front.get(status(session_id), params={"token": token(session_id)})).status == 200


async def test_from_the_deadline_on_the_closing_shape_is_shown(
    front: Any, workers: Any, shop: dict[str, str], snapshot: Any, session_id: uuid.UUID, clock_file: Path
) -> None:
    # Given: a session that closes in an hour
    closes = int((clock.now() + timedelta(hours=1)).timestamp() * 1000)
    workers.publish.session(session_id, snapshot(session_id, closes_ms=closes))
    before = await front.get(status(session_id), headers=shop)
    assert (await before.json())["paymentSession"]["closing"] is False
    # When: business time passes, and nothing else happens
    clock.set_offset(clock_file, timedelta(hours=1, seconds=1))
    # Then: it is closing, under another ETag
    after = await front.get(status(session_id), headers={**shop, "If-None-Match": before.headers["ETag"]})
    assert after.status == 200
    assert (await after.json())["paymentSession"]["closing"] is True


async def test_an_unchanged_session_is_not_sent_again(
    front: Any, workers: Any, shop: dict[str, str], snapshot: Any, session_id: uuid.UUID, token: Any
) -> None:
    workers.publish.session(session_id, snapshot(session_id, version=7))
    etag = (await front.get(status(session_id), headers=shop)).headers["ETag"]
    same = await front.get(status(session_id), headers={**shop, "If-None-Match": etag})
    assert (same.status, await same.read(), same.headers["ETag"]) == (304, b"", etag)
    # The buyer's text is another one, and a new version is.
    buyer = await front.get(status(session_id), params={"token": token(session_id)}, headers={"If-None-Match": etag})
    assert buyer.status == 200
    workers.publish.session(session_id, snapshot(session_id, version=8))
    assert (await front.get(status(session_id), headers={**shop, "If-None-Match": etag})).status == 200


async def test_a_miss_asks_for_one_publication_however_many_read(
    front: Any, workers: Any, shop: dict[str, str], snapshot: Any, session_id: uuid.UUID
) -> None:
    waiting = [asyncio.create_task(front.get(status(session_id), headers=shop)) for _ in range(30)]
    message = await workers.take("publish.session")
    assert message.kwargs == {"session_id": str(session_id)}
    workers.publish.session(session_id, snapshot(session_id))
    assert {response.status for response in await asyncio.gather(*waiting)} == {200}
    assert await workers.queued("publish.session") == 0


async def test_an_unknown_session_is_a_404_for_the_marketplace_and_for_token_holders(
    front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    waiting = asyncio.create_task(front.get(status(session_id), headers=shop))
    await workers.take("publish.session")
    workers.publish.unknown_session(session_id)
    assert (await waiting).status == 404
    # Remembered: nobody is asked again.
    assert (await front.get(status(session_id), params={"token": token(session_id)})).status == 404
    assert await workers.queued("publish.session") == 0


async def test_silent_workers_are_a_504(make_front: Any, shop: dict[str, str], session_id: uuid.UUID) -> None:
    front = await make_front(FRONT_WAIT_SECONDS="0")
    response = await front.get(status(session_id), headers=shop)
    assert (response.status, (await response.json())["code"]) == (504, "timed_out")
    assert "Retry-After" in response.headers


async def test_reads_go_on_when_redis_has_forgotten_how_they_are_made(
    front: Any, workers: Any, shop: dict[str, str], snapshot: Any, session_id: uuid.UUID, redis_url: str
) -> None:
    workers.publish.session(session_id, snapshot(session_id))
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(2):
            client.script_flush()
            assert (await front.get(status(session_id), headers=shop)).status == 200
