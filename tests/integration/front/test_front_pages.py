"""The buyer's page over HTTP: the token becomes a cookie, strangers get a page that says so."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


async def test_the_first_visit_swaps_the_token_for_a_cookie_and_a_clean_address(
    front: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    response = await front.get(f"/pay/{session_id}", params={"token": token(session_id)}, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, f"/pay/{session_id}")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(f"pw_{session_id.hex}={token(session_id)};")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


async def test_without_https_the_cookie_does_not_demand_it(
    make_front: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    front = await make_front(PUBLIC_URL="http://127.0.0.1:8080")
    response = await front.get(f"/pay/{session_id}", params={"token": token(session_id)}, allow_redirects=False)
    assert "Secure" not in response.headers["Set-Cookie"]


async def test_the_second_visit_shows_the_page(
    make_front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    front = await make_front(PUBLIC_URL="http://127.0.0.1:8080")
    workers.publish.session(session_id, snapshot(session_id))
    response = await front.get(f"/pay/{session_id}", params={"token": token(session_id)}, headers=HTML)
    text = await response.text()
    assert (response.status, response.content_type, response.url.query_string) == (200, "text/html", "")
    assert "Walnut side table" in text
    assert 'href="https://checkout.stripe.com/c/pay/cs_test_1"' in text
    assert token(session_id) not in text
    assert response.headers["Cache-Control"] == "no-store"
    # And its status can be polled with the cookie alone, answering "unchanged" to the page's own ETag.
    etag = text.partition('data-etag="')[2].partition('"')[0]
    polled = await front.get(f"/payments/checkout/{session_id}/status", headers={"If-None-Match": f'"{etag}"'})
    assert polled.status == 304


async def test_several_purchases_may_be_open_in_one_browser(
    make_front: Any, workers: Any, snapshot: Any, token: Callable[[uuid.UUID], str]
) -> None:
    front = await make_front(PUBLIC_URL="http://127.0.0.1:8080")
    sessions = [uuid.uuid4(), uuid.uuid4()]
    for each in sessions:
        workers.publish.session(each, snapshot(each))
        await front.get(f"/pay/{each}", params={"token": token(each)})
    for each in sessions:
        assert (await front.get(f"/pay/{each}")).status == 200


async def test_a_wrong_link_gets_a_page_that_says_so(
    front: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    for query in ({}, {"token": "junk"}, {"token": token(uuid.uuid4())}):
        response = await front.get(f"/pay/{session_id}", params=query, headers=HTML)
        assert (response.status, response.content_type) == (401, "text/html")
        assert "This link does not work" in await response.text()
        assert "Set-Cookie" not in response.headers


async def test_the_page_speaks_the_sessions_language_else_the_browsers(
    make_front: Any, workers: Any, snapshot: Any, token: Callable[[uuid.UUID], str]
) -> None:
    front = await make_front(PUBLIC_URL="http://127.0.0.1:8080")
    wanted = {**HTML, "Accept-Language": "fr-CH, fr;q=0.9, en;q=0.8"}
    for locale, headline in (("de", "Bezahlen Sie Ihren Auktionsgewinn"), (None, "Payez votre enchère remportée")):
        session_id = uuid.uuid4()
        workers.publish.session(session_id, snapshot(session_id, locale=locale))
        response = await front.get(f"/pay/{session_id}", params={"token": token(session_id)}, headers=wanted)
        assert headline in await response.text()
    stranger = await front.get(f"/pay/{uuid.uuid4()}", headers=wanted)
    assert "Ce lien ne fonctionne pas" in await stranger.text()


async def test_an_unknown_session_gets_a_page_that_says_so(
    front: Any, workers: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    workers.publish.unknown_session(session_id)
    cookie = {"Cookie": f"pw_{session_id.hex}={token(session_id)}"}
    response = await front.get(f"/pay/{session_id}", headers={**HTML, **cookie})
    assert (response.status, response.content_type) == (404, "text/html")
    assert (await front.get("/pay/nothing", headers=HTML)).status == 404


async def test_the_page_needs_nothing_from_elsewhere_and_its_files_are_served(front: Any) -> None:
    for name, kind in (("pay.css", "css"), ("pay.js", "javascript")):
        response = await front.get(f"/static/{name}")
        assert response.status == 200
        assert kind in response.content_type
        assert "http" not in await response.text()
    assert (await front.get("/static/../app.py")).status == 404
    assert (await front.get("/static/")).status in (403, 404)
