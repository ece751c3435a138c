"""The front end over real Redis, and in place of the workers a test that reads the queues and publishes as they do."""

import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from dramatiq import Message

from paywindow import jsons, messages
from paywindow.front.answers import PROBLEM_JSON
from paywindow.front.app import build
from paywindow.front.middleware import AccessLogger, access_log
from paywindow.front.openapi import document
from paywindow.keys import BuyerTokens, hash_service_key
from paywindow.published import Outcome, Publisher, Snapshot
from paywindow.settings import Role, Settings

KEY, READ_KEY, ADMIN_KEY = "pwk_checkout-and-read", "pwk_read-only", "pwk_admin-only"
WEBHOOK_SECRET, OLD_WEBHOOK_SECRET = "whsec_new-secret", "whsec_old-secret"
TOKEN_SECRET = "token-signing-secret"
LINK_SECRET = "link-signing-secret"
PUBLIC_URL = "https://pay.example"

Client = TestClient[Any, Any]
MakeFront = Callable[..., Awaitable[Client]]

_NEVER = 4_102_444_800_000


class Workers:
    """The other side of Redis: takes messages off the queues, publishes what actors would."""

    def __init__(self, broker: "redis.asyncio.Redis", publisher: Publisher):
        self._broker = broker
        self.publish = publisher

    async def take(self, actor: str) -> Message[Any]:
        """The next message of the actor's queue, as soon as there is one."""
        queue = f"dramatiq:{messages.ACTORS[actor]}"
        found = await self._broker.blpop([queue], timeout=30)
        assert found is not None, f"no message for {actor}"
        data = await self._broker.hget(f"{queue}.msgs", found[1])
        message: Message[Any] = Message.decode(data)
        assert message.actor_name == actor
        return message

    async def queued(self, actor: str) -> int:
        """How many messages wait in the actor's queue."""
        length: int = await self._broker.llen(f"dramatiq:{messages.ACTORS[actor]}")
        return length

    async def nothing_queued(self) -> bool:
        """Whether no queue exists at all."""
        return not await self._broker.keys("dramatiq:*")

    def answer(self, message: Message[Any], status: int, body: dict[str, Any]) -> None:
        """Publish the outcome of a command."""
        given = message.kwargs
        outcome = Outcome(status, body, given["client"], given["fingerprint"])
        self.publish.outcome(uuid.UUID(given["operation_id"]), outcome)

    def reply(self, message: Message[Any], status: int, body: dict[str, Any], client: str = "") -> None:
        """Publish the answer to a query."""
        self.publish.reply(uuid.UUID(message.kwargs["reply_id"]), Outcome(status, body, client, ""))


@pytest.fixture
def front_environment(redis_url: str) -> dict[str, str]:
    """Settings of a front end on this test's Redis."""
    keys = {"shop:checkout+read": KEY, "report:read": READ_KEY, "boss:admin": ADMIN_KEY}
    return {
        "REDIS_URL": redis_url,
        "STRIPE_WEBHOOK_SECRET": f"{WEBHOOK_SECRET},{OLD_WEBHOOK_SECRET}",
        "SERVICE_KEYS": ",".join(f"{name}:{hash_service_key(key)}" for name, key in keys.items()),
        "BUYER_TOKEN_SECRETS": TOKEN_SECRET,
        "PUBLIC_URL": PUBLIC_URL,
        "CHECKOUT_URL_ALLOW_LIST": "https://shop.example",
        "RECEIPT_URL_SECRET": LINK_SECRET,
        "FRONT_WAIT_SECONDS": "30",
    }


async def _is_documented(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer that any test gets is one that the OpenAPI document promises: its status, and the code of a problem.

    Any other is not sent: the connection ends, and the log says why.
    """
    resource = request.match_info.route.resource
    operation = {} if resource is None else document()["paths"].get(resource.canonical, {}).get(request.method.lower())
    if not operation:
        return
    answer = operation["responses"].get(str(response.status))
    if answer is None:
        raise AssertionError(f"{request.method} {resource}: {response.status} is not documented")
    if response.content_type == PROBLEM_JSON and isinstance(response, web.Response):
        code = jsons.loads(response.text or "")["code"]
        if code not in answer["content"][PROBLEM_JSON]["examples"]:
            raise AssertionError(f"{request.method} {resource}: {code} is not documented")


@pytest.fixture
async def make_front(front_environment: dict[str, str]) -> AsyncIterator[MakeFront]:
    """Starts a front end with more settings; give its client."""
    clients: list[Client] = []

    async def make(**more: str) -> Client:
        settings = Settings.load(Role.FRONT, {**front_environment, **more})
        app = build(settings)
        app.on_response_prepare.append(_is_documented)
        server = TestServer(app)
        await server.start_server(access_log_class=AccessLogger, access_log=access_log)
        client: Client = TestClient(server)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def front(make_front: MakeFront) -> Client:
    """A front end with the usual settings."""
    return await make_front()


@pytest.fixture
async def workers(redis_url: str) -> AsyncIterator[Workers]:
    """In place of the workers."""
    state_url = redis_url.removesuffix("/0") + "/1"
    with redis.Redis.from_url(state_url) as state:
        async with redis.asyncio.Redis.from_url(redis_url) as broker:
            yield Workers(broker, Publisher(state))


@pytest.fixture
def bearer() -> Callable[[str], dict[str, str]]:
    """The header for a key or token."""
    return lambda credentials: {"Authorization": f"Bearer {credentials}"}


@pytest.fixture
def shop(bearer: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The header of the marketplace's key, with the scopes checkout and read."""
    return bearer(KEY)


@pytest.fixture
def token() -> Callable[[uuid.UUID], str]:
    """Issues buyer tokens, as the workers do."""
    return BuyerTokens([TOKEN_SECRET]).issue


@pytest.fixture
def order() -> dict[str, Any]:
    """A good create request for an auction of its own."""
    return {
        "auctionId": str(uuid.uuid4()),
        "buyerId": str(uuid.uuid4()),
        "amount": 275,
        "currency": "USD",
        "description": "Walnut side table",
    }


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """Builds a session's snapshot; changes to the session as keyword arguments."""

    def make(
        session_id: uuid.UUID,
        *,
        version: int = 1,
        expires_ms: int = _NEVER,
        closes_ms: int = 0,
        receipt: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Snapshot:
        session = {
            "id": str(session_id),
            "status": "pending",
            "amount": 275,
            "currency": "USD",
            "description": "Walnut side table",
            "locale": None,
            "expiresAt": "2026-11-24T10:30:00Z",
            "stripeCheckoutUrl": "https://checkout.stripe.com/c/pay/cs_test_1",
            "closing": False,
            "failure": None,
            "hold": None,
            **changes,
        }
        fees = {"stripeFee": 8, "platformFee": 12}

        def face(**extra: Any) -> str:
            shown = {**session, **{name: value for name, value in extra.items() if name == "closing"}}
            transaction = {"fees": fees} if extra.get("fees") else None
            return jsons.dumps({"paymentSession": shown, "transaction": transaction, "receipt": receipt})

        return Snapshot(
            version=version,
            service=face(fees=True),
            buyer=face(),
            service_closing=face(fees=True, closing=True),
            buyer_closing=face(closing=True),
            expires_ms=expires_ms,
            closes_ms=closes_ms,
        )

    return make


@pytest.fixture
def stripe_signature() -> Callable[..., dict[str, str]]:
    """Signs a webhook body as Stripe does; ``age`` in seconds."""

    def sign(body: bytes, *, secret: str = WEBHOOK_SECRET, age: int = 0) -> dict[str, str]:
        at = int(time.time()) - age
        signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}

    return sign
