"""Who may do what, on every route that the application has.

What a route demands is read from the OpenAPI document, and the routes from the application's own router: one that is new is tried
here without being named, and one that says too little about itself fails.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from paywindow.front.app import build
from paywindow.front.openapi import document
from paywindow.keys import BuyerTokens, Scope, hash_service_key
from paywindow.settings import Settings

SESSION, OTHER_SESSION = uuid.uuid4(), uuid.uuid4()
RECEIPT = uuid.uuid4()
KEYS = {scope: f"pwk_{scope}-only" for scope in Scope}
OLD_SECRET = "token-secret-of-last-year"
#: Answers to a caller who is not let in. A buyer who asks for what is another's is told that there is no such thing.
REFUSED = (401, 403)

#: Routes that are not part of the API, and who may use them.
PAGES = {
    ("GET", "/pay/{id}"): [{"buyerToken": []}],
    ("POST", "/pay/{id}/retry"): [{"buyerToken": []}],
    ("GET", "/openapi.json"): [],
    ("GET", "/docs"): [],
}
#: Signed addresses of files, and the files that come with us: no credentials, but not just anything either.
FILES = {("GET", "/payments/receipts/files/{key}"), ("GET", "/static")}


@dataclass(frozen=True)
class Route:
    """One route, and who may use it."""

    method: str
    path: str
    security: list[dict[str, list[str]]]

    @property
    def scopes(self) -> set[str]:
        return {scope for each in self.security for scope in each.get("serviceKey", ())}

    @property
    def for_buyers(self) -> bool:
        return any("buyerToken" in each for each in self.security)

    @property
    def address(self) -> str:
        identifier = RECEIPT if "/receipts/" in self.path else SESSION
        return self.path.replace("{id}", str(identifier))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes() -> Iterator[Route]:
    settings = Settings(
        redis_url="redis://127.0.0.1:1/0",
        public_url="http://127.0.0.1:1",
        buyer_token_secrets=("a",),
        receipt_url_secret="b",
    )
    for route in build(settings).router.routes():
        assert route.resource is not None
        name = (route.method, route.resource.canonical)
        if route.method == "HEAD" or name in FILES:
            continue
        described = document()["paths"].get(name[1], {}).get(name[0].lower())
        yield Route(*name, PAGES[name] if name in PAGES else described["security"])


ROUTES = list(routes())
SERVICE = [route for route in ROUTES if route.scopes]
BUYERS = [route for route in ROUTES if route.for_buyers]
PROTECTED = [route for route in ROUTES if route.security]


@pytest.fixture
async def front(make_front: Any, workers: Any, snapshot: Any) -> Any:
    """A front end that waits for nobody, with a key for each scope, and two open sessions."""
    keys = ",".join(f"{scope}:{scope}:{hash_service_key(key)}" for scope, key in KEYS.items())
    for session in (SESSION, OTHER_SESSION):
        receipt = {"id": str(RECEIPT)} if session == SESSION else None
        workers.publish.session(session, snapshot(session, receipt=receipt))
    return await make_front(SERVICE_KEYS=keys, FRONT_WAIT_SECONDS="0", PUBLIC_URL="http://127.0.0.1:8080")


async def ask(front: Any, route: Route, **headers: str) -> int:
    response = await front.request(route.method, route.address, headers=headers, allow_redirects=False)
    return int(response.status)


def bearer(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials}"}


def cookie(token: str, session: uuid.UUID = SESSION) -> dict[str, str]:
    return {"Cookie": f"pw_{session.hex}={token}"}


def hidden(route: Route) -> tuple[int, ...]:
    """What a buyer is told who asks for what is another's. Addresses of receipts and operations name no session, so those
    of others do not exist for this buyer."""
    return (404, 504) if "/receipts/" in route.path or "/operations/" in route.path else (401,)


async def test_without_credentials_only_what_is_public_answers(front: Any) -> None:
    assert len(PROTECTED) >= 10
    for route in ROUTES:
        assert (await ask(front, route) == 401) == bool(route.security), route


async def test_credentials_that_nobody_gave_out_are_refused(front: Any) -> None:
    for route in PROTECTED:
        for credentials in ("pwk_unknown", "pwk_", "pwk_\u00e9", "junk", "a.b", ".", str(SESSION), SESSION.hex):
            assert await ask(front, route, **bearer(credentials)) == 401, (route, credentials)


async def test_a_key_opens_exactly_what_its_scopes_are_for(front: Any) -> None:
    for route in SERVICE:
        for scope, key in KEYS.items():
            status = await ask(front, route, **bearer(key))
            assert (status == 403) == (scope not in route.scopes), (route, scope)
            assert status != 401, (route, scope)


async def test_a_buyers_page_opens_to_no_key(front: Any) -> None:
    for route in (route for route in PROTECTED if not route.scopes):
        for key in KEYS.values():
            assert await ask(front, route, **bearer(key)) == 401, route


async def test_the_buyers_own_token_is_let_in(front: Any, token: Callable[[uuid.UUID], str]) -> None:
    for route in BUYERS:
        assert await ask(front, route, **bearer(token(SESSION))) not in REFUSED, route
        assert await ask(front, route, **cookie(token(SESSION))) not in REFUSED, route


async def test_what_is_the_marketplaces_opens_to_no_token(front: Any, token: Callable[[uuid.UUID], str]) -> None:
    for route in (route for route in SERVICE if not route.for_buyers):
        assert await ask(front, route, **bearer(token(SESSION))) == 401, route
        assert await ask(front, route, **cookie(token(SESSION))) == 401, route


async def test_another_sessions_token_is_refused(front: Any, token: Callable[[uuid.UUID], str]) -> None:
    stranger = token(OTHER_SESSION)
    for route in BUYERS:
        assert await ask(front, route, **bearer(stranger)) in hidden(route), route
        # Under its own name, and under that of the session that is asked for.
        for name in (OTHER_SESSION, SESSION):
            assert await ask(front, route, **cookie(stranger, name)) in (401, *hidden(route)), route


def tampered(token: str) -> list[str]:
    name, _, signature = token.partition(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    return [
        f"{name}.{flipped}",
        f"{name}.",
        name,
        f"{OTHER_SESSION.hex}.{signature}",
        f"{name}.{signature}A",
        f"x{token}",
    ]


async def test_a_token_that_was_changed_is_refused(front: Any, token: Callable[[uuid.UUID], str]) -> None:
    for route in BUYERS:
        for changed in tampered(token(SESSION)):
            assert await ask(front, route, **bearer(changed)) == 401, (route, changed)
            assert await ask(front, route, **cookie(changed)) == 401, (route, changed)


async def test_a_token_of_a_retired_secret_is_refused_and_one_of_an_old_secret_is_not(
    front: Any, make_front: Any, front_environment: dict[str, str]
) -> None:
    old = BuyerTokens([OLD_SECRET]).issue(SESSION)
    both = f"{front_environment['BUYER_TOKEN_SECRETS']},{OLD_SECRET}"
    rotating = await make_front(BUYER_TOKEN_SECRETS=both, FRONT_WAIT_SECONDS="0")
    for route in BUYERS:
        assert await ask(front, route, **bearer(old)) == 401, route
        assert await ask(rotating, route, **bearer(old)) not in REFUSED, route


async def test_a_token_that_is_over_is_refused(
    front: Any, workers: Any, snapshot: Any, token: Callable[[uuid.UUID], str]
) -> None:
    over = snapshot(SESSION, version=2, expires_ms=1_000, receipt={"id": str(RECEIPT)})
    workers.publish.session(SESSION, over)
    for route in BUYERS:
        refused = (404,) if "/receipts/" in route.path else (401,)
        assert await ask(front, route, **bearer(token(SESSION))) in refused, route
        assert await ask(front, route, **cookie(token(SESSION))) in refused, route


@pytest.mark.parametrize(
    "origin, allowed",
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8080"}, False),
        ({"Origin": "http://127.0.0.1:8080"}, True),
        ({"Origin": "http://127.0.0.1:8081"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, True),
    ],
)
async def test_no_other_site_can_have_a_buyers_browser_do_something(
    front: Any, token: Callable[[uuid.UUID], str], origin: dict[str, str], allowed: bool
) -> None:
    commands = [route for route in BUYERS if route.method == "POST"]
    assert len(commands) >= 2
    for route in commands:
        status = await ask(front, route, **cookie(token(SESSION)), **origin)
        assert (status == 403) == (not allowed), route
        # A token that the caller sends itself is nothing that a browser adds.
        assert await ask(front, route, **bearer(token(SESSION)), **origin) not in REFUSED, route


async def test_a_page_swaps_the_token_in_its_address_for_a_cookie_that_scripts_and_other_sites_cannot_use(
    front: Any, token: Callable[[uuid.UUID], str]
) -> None:
    response = await front.get(f"/pay/{SESSION}", params={"token": token(SESSION)}, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, f"/pay/{SESSION}")
    parts = {part.strip() for part in response.headers["Set-Cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert not any(part.startswith("Domain") for part in parts)
