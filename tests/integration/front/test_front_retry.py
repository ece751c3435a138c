"""Trying a failed payment again: by the marketplace, by the buyer's token, and by the button of the buyer's page."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
def cookie(session_id: uuid.UUID, token: Callable[[uuid.UUID], str]) -> dict[str, str]:
    """What the buyer's browser sends."""
    return {"Cookie": f"pw_{session_id.hex}={token(session_id)}"}


@pytest.fixture
def failed(workers: Any, snapshot: Any, session_id: uuid.UUID) -> Callable[..., None]:
    """Publishes the session as failed, with a dead page and tries left; another version as a keyword argument."""

    def publish(**changes: Any) -> None:
        changes = {"status": "failed", "stripeCheckoutUrl": None, **changes}
        workers.publish.session(session_id, snapshot(session_id, **changes))

    return publish


async def problem(response: Any) -> tuple[int, str]:
    body = json.loads(await response.text())
    assert response.content_type == "application/problem+json"
    return response.status, body["code"]


def retry(session_id: Any) -> str:
    return f"/payments/retry/{session_id}"


def button(session_id: Any) -> str:
    return f"/pay/{session_id}/retry"


# The API


@pytest.mark.parametrize("body", [None, {}, {"reason": "asked by phone"}])
async def test_the_marketplace_retries_with_or_without_a_reason(
    front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID, body: Any
) -> None:
    more = {} if body is None else {"json": body}
    waiting = asyncio.create_task(front.post(retry(session_id), headers=shop, **more))
    message = await workers.take("payment.retry")
    assert message.kwargs["client"] == "shop"
    assert message.kwargs["request"] == {"session_id": str(session_id), "reason": (body or {}).get("reason")}
    workers.answer(message, 200, {"paymentSession": {"status": "pending"}})
    assert (await waiting).status == 200


@pytest.mark.parametrize("way", ["header", "query", "cookie"])
async def test_the_buyer_retries_under_a_name_of_the_session(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, token: Any, bearer: Any, cookie: Any, way: str
) -> None:
    failed()
    text = token(session_id)
    request: dict[str, Any] = {
        "header": {"headers": bearer(text)},
        "query": {"params": {"token": text}},
        "cookie": {"headers": cookie},
    }[way]
    waiting = asyncio.create_task(front.post(retry(session_id), **request))
    message = await workers.take("payment.retry")
    assert message.kwargs["client"] == f"buyer:{session_id}"
    workers.answer(message, 200, {"paymentSession": {"status": "pending"}})
    assert (await waiting).status == 200


async def test_nobody_else_retries(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, token: Any, bearer: Any
) -> None:
    failed()
    foreign = {"Cookie": f"pw_{session_id.hex}={token(uuid.uuid4())}"}
    for headers in ({}, bearer("pwk_wrong"), bearer("junk"), bearer(token(uuid.uuid4())), foreign):
        assert await problem(await front.post(retry(session_id), headers=headers)) == (401, "unauthenticated")
        assert await problem(await front.post(button(session_id), headers=headers)) == (401, "unauthenticated")
    for key in ("pwk_read-only", "pwk_admin-only"):
        assert await problem(await front.post(retry(session_id), headers=bearer(key))) == (403, "forbidden")
    assert await workers.nothing_queued()


async def test_a_service_key_does_not_press_the_buyers_button(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, shop: dict[str, str]
) -> None:
    failed()
    assert await problem(await front.post(button(session_id), headers=shop)) == (401, "unauthenticated")
    assert await workers.nothing_queued()


async def test_a_retry_of_what_does_not_exist_is_a_404(
    front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID, token: Any, bearer: Any
) -> None:
    workers.publish.unknown_session(session_id)
    assert await problem(await front.post(retry(session_id), headers=bearer(token(session_id)))) == (404, "not_found")
    assert await problem(await front.post(retry(17), headers=shop)) == (404, "not_found")
    assert await workers.nothing_queued()


async def test_a_bad_body_is_refused(front: Any, workers: Any, shop: dict[str, str], session_id: uuid.UUID) -> None:
    assert (await front.post(retry(session_id), json={"minutes": 5}, headers=shop)).status == 422
    assert (await front.post(retry(session_id), json={"reason": "a\x00"}, headers=shop)).status == 422
    assert (await front.post(retry(session_id), data="{", headers=shop)).status == 415
    assert await workers.nothing_queued()


async def test_a_refused_retry_says_why(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    failed()
    for code in ("not_failed", "retry_limit_reached", "session_expired", "already_paid", "retry_under_way"):
        waiting = asyncio.create_task(front.post(retry(session_id), headers=cookie))
        workers.answer(await workers.take("payment.retry"), 409, {"code": code, "status": 409})
        assert await problem(await waiting) == (409, code)


async def test_the_same_key_of_two_buyers_and_of_the_marketplace_is_three_operations(
    front: Any, workers: Any, snapshot: Any, shop: dict[str, str], token: Any, bearer: Any
) -> None:
    sessions = [uuid.uuid4(), uuid.uuid4()]
    for each in sessions:
        workers.publish.session(each, snapshot(each, status="failed"))
    callers = [
        (sessions[0], bearer(token(sessions[0]))),
        (sessions[1], bearer(token(sessions[1]))),
        (sessions[0], shop),
    ]
    operations = set()
    for session, headers in callers:
        await front.post(retry(session), headers={**headers, "Idempotency-Key": "again", "Prefer": "wait=0"})
        operations.add((await workers.take("payment.retry")).kwargs["operation_id"])
    assert len(operations) == 3


async def test_two_clicks_with_one_key_are_one_operation(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    failed()
    headers = {**cookie, "Idempotency-Key": "click"}
    waiting = [asyncio.create_task(front.post(retry(session_id), headers=headers)) for _ in range(2)]
    first = await workers.take("payment.retry")
    second = await workers.take("payment.retry")
    assert first.kwargs == second.kwargs
    workers.answer(first, 200, {"paymentSession": {"status": "pending"}})
    assert [response.status for response in await asyncio.gather(*waiting)] == [200, 200]


# Whose operation it is


async def test_a_buyer_finds_the_outcome_of_their_retry_later_and_nobody_else_does(
    front: Any, workers: Any, failed: Any, snapshot: Any, session_id: uuid.UUID, token: Any, bearer: Any, shop: Any
) -> None:
    # Given: a retry that was accepted and then done
    failed()
    buyer = bearer(token(session_id))
    accepted = await front.post(retry(session_id), headers={**buyer, "Prefer": "wait=0"})
    where = accepted.headers["Location"]
    workers.answer(await workers.take("payment.retry"), 200, {"paymentSession": {"status": "pending"}})
    # Then: its buyer reads the outcome
    assert (await front.get(where, headers=buyer)).status == 200
    assert (await front.get(where, params={"token": token(session_id)})).status == 200
    # And: for all others it does not exist
    other = uuid.uuid4()
    workers.publish.session(other, snapshot(other))
    for headers in (bearer(token(other)), shop):
        assert await problem(await front.get(where, headers=headers)) == (404, "not_found")
    assert await problem(await front.get(where)) == (401, "unauthenticated")


async def test_a_browser_with_cookies_of_several_sessions_must_say_which_buyer_it_is(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, token: Any, cookie: Any
) -> None:
    failed()
    accepted = await front.post(retry(session_id), headers={**cookie, "Prefer": "wait=0"})
    workers.answer(await workers.take("payment.retry"), 200, {"paymentSession": {"status": "pending"}})
    assert (await front.get(accepted.headers["Location"], headers=cookie)).status == 200
    other = uuid.uuid4()
    both = {"Cookie": f"{cookie['Cookie']}; pw_{other.hex}={token(other)}"}
    response = await front.get(accepted.headers["Location"], headers=both)
    assert await problem(response) == (401, "unauthenticated")


# The button


async def test_the_button_leads_back_to_the_page_which_shows_the_new_state(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    # Given: a failed payment, and a press of the button as a form sends it
    failed(version=4)
    pressing = asyncio.create_task(
        front.post(button(session_id), headers={**HTML, **cookie}, data={}, allow_redirects=False)
    )
    message = await workers.take("payment.retry")
    assert message.kwargs["client"] == f"buyer:{session_id}"
    assert message.kwargs["request"] == {"session_id": str(session_id), "reason": None}
    # When: the retry is done, and its publication comes a little later
    workers.answer(message, 200, {"paymentSession": {"status": "pending", "version": 5}})
    await workers.take("publish.session")
    assert not pressing.done()
    failed(version=5, status="pending", stripeCheckoutUrl="https://checkout.stripe.com/c/pay/cs_test_2")
    # Then: the browser is sent to the page, which has it
    response = await pressing
    assert (response.status, response.headers["Location"]) == (303, f"/pay/{session_id}")
    assert response.headers["Cache-Control"] == "no-store"
    shown = await (await front.get(f"/pay/{session_id}", headers={**HTML, **cookie})).text()
    assert "https://checkout.stripe.com/c/pay/cs_test_2" in shown
    assert "Try again" not in shown


async def test_a_refused_press_leads_back_to_the_page_too(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    failed()
    headers = {**HTML, **cookie}
    pressing = asyncio.create_task(front.post(button(session_id), headers=headers, allow_redirects=False))
    workers.answer(await workers.take("payment.retry"), 409, {"code": "retry_limit_reached", "status": 409})
    response = await pressing
    assert (response.status, response.headers["Location"]) == (303, f"/pay/{session_id}")


async def test_a_press_that_takes_long_leads_back_to_the_page_too(
    make_front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    front = await make_front(FRONT_WAIT_SECONDS="0")
    failed()
    response = await front.post(button(session_id), headers={**HTML, **cookie}, allow_redirects=False)
    assert response.status == 303
    assert await workers.queued("payment.retry") == 1


async def test_under_a_path_of_its_own_the_button_leads_back_there(
    make_front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    front = await make_front(PUBLIC_URL="https://shop.example/wins", FRONT_WAIT_SECONDS="0")
    failed()
    response = await front.post(button(session_id), headers={**HTML, **cookie}, allow_redirects=False)
    assert response.headers["Location"] == f"/wins/pay/{session_id}"


async def test_without_the_cookie_the_button_shows_that_the_link_does_not_work(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID
) -> None:
    failed()
    response = await front.post(button(session_id), headers=HTML, allow_redirects=False)
    assert (response.status, response.content_type) == (401, "text/html")
    assert "This link does not work" in await response.text()
    assert await workers.nothing_queued()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_press_it_even_with_the_cookie(
    front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any, site: str
) -> None:
    # The cookie's SameSite=Lax keeps other sites from sending it; a subdomain counts as the same site.
    failed()
    headers = {**cookie, "Sec-Fetch-Site": site}
    for path in (button(session_id), retry(session_id)):
        assert await problem(await front.post(path, headers=headers)) == (403, "forbidden")
    assert await workers.nothing_queued()


async def test_the_buyers_own_page_may_press_it(
    make_front: Any, workers: Any, failed: Any, session_id: uuid.UUID, cookie: Any
) -> None:
    front = await make_front(FRONT_WAIT_SECONDS="0")
    failed()
    headers = {**cookie, "Sec-Fetch-Site": "same-origin"}
    assert (await front.post(button(session_id), headers=headers, allow_redirects=False)).status == 303
    assert await workers.queued("payment.retry") == 1


async def test_forms_may_be_sent_to_the_front_end_alone(
    front: Any, workers: Any, failed: Any, session_id: Any, cookie: Any
) -> None:
    failed()
    policy = (await front.get(f"/pay/{session_id}", headers={**HTML, **cookie})).headers["Content-Security-Policy"]
    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
