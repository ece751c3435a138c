"""Sends webhooks: signed, each endpoint and event on its own, retried with exponential backoff.

As at Stripe, only 2xx is success (a redirect is a failure), every try is signed anew, and nothing orders the deliveries
of different events (https://docs.stripe.com/webhooks).
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import aiohttp

from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.events import type_matches
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.modes import DeliveryMode, Mode
from paywindow.sandbox.signature import signature_header
from paywindow.sandbox.store import Store

_LOG = logging.getLogger(__name__)
_KEPT_ATTEMPTS = 20_000


class WebhookDelivery:
    """Delivers the events of one store to its webhook endpoints."""

    def __init__(self, store: Store, config: SandboxConfig) -> None:
        self._store = store
        self._config = config
        self._client: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[str, set[str]] = {}
        self._acknowledged: dict[str, asyncio.Event] = {}
        self._held: list[JsonObject] = []
        self._reordering: list[JsonObject] = []
        self.mode = DeliveryMode()
        self.attempts: deque[JsonObject] = deque(maxlen=_KEPT_ATTEMPTS)
        """What was sent: event, type, endpoint, try, status (None: no answer), error, real time."""

    async def start(self) -> None:
        """Open the connection pool; the running loop is the one that delivers."""
        timeout = aiohttp.ClientTimeout(total=self._config.webhook_timeout)
        self._client = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        """Give up what is under way and close."""
        await self.forget()
        if self._client is not None:
            await self._client.close()

    async def forget(self) -> None:
        """Cancel every delivery and return to normal mode."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pending.clear()
        self._acknowledged.clear()
        self._held.clear()
        self._reordering.clear()
        self.attempts.clear()
        self.mode = DeliveryMode()

    def dispatch(self, event: JsonObject) -> None:
        """Take over a new event and send it as the mode in force says. Does not wait."""
        if not self._expect_answers(event):
            return
        match self.mode.applies_to(event):
            case Mode.NORMAL:
                self._send(event)
            case Mode.PAUSED:
                self._held.append(event)
            case Mode.DUPLICATE:
                for _ in range(self.mode.copies):
                    self._send(event)
            case Mode.TWIN:
                twin = self._store.add({**event, "id": new_id("evt")})
                self._expect_answers(twin)
                self._send(event)
                self._send(twin)
            case Mode.REORDER:
                self._gather(event)
            case Mode.DELAY:
                self._spawn(self._send_later(event, self.mode.seconds))
            case Mode.DROP:
                pass

    def set_mode(self, mode: DeliveryMode) -> int:
        """Change the mode; leaving PAUSED sends what was kept. Returns how many events that were."""
        self.mode = mode
        return self.flush() if mode.mode is not Mode.PAUSED else 0

    def flush(self, *, reverse: bool = False) -> int:
        """Send what the paused mode has kept, in order or backwards, and return the number of events."""
        events, self._held = self._held, []
        for event in reversed(events) if reverse else events:
            self._send(event)
        return len(events)

    def held(self) -> list[str]:
        """Ids of the events that the paused mode keeps."""
        return [event["id"] for event in self._held]

    def will_be_acknowledged(self, event: JsonObject) -> bool:
        """Whether waiting for an answer makes sense: somebody listens, and the mode lets the event out."""
        return event["id"] in self._acknowledged and self.mode.applies_to(event) not in (Mode.PAUSED, Mode.DROP)

    async def acknowledged(self, event: JsonObject, seconds: float) -> bool:
        """Wait until every endpoint has answered 2xx, but no longer than ``seconds`` of real time."""
        if not self.will_be_acknowledged(event):
            return False
        try:
            await asyncio.wait_for(self._acknowledged[event["id"]].wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def deliver_now(self, event: JsonObject, times: int) -> list[int | None]:
        """Send an event (again) ``times`` times at once, without retries; the answers' statuses, None for no answer."""
        tries = [self._attempt(event, endpoint, 0) for endpoint in self._subscribers(event) for _ in range(times)]
        return list(await asyncio.gather(*tries))

    def _subscribers(self, event: JsonObject) -> list[JsonObject]:
        return [
            endpoint
            for endpoint in self._store.oldest_first("webhook_endpoint")
            if endpoint["status"] == "enabled" and type_matches(event["type"], endpoint["enabled_events"])
        ]

    def _expect_answers(self, event: JsonObject) -> bool:
        """Note which endpoints have to answer; False when nobody listens."""
        subscribers = {endpoint["id"] for endpoint in self._subscribers(event)}
        event["pending_webhooks"] = len(subscribers)
        if subscribers:
            self._pending[event["id"]] = subscribers
            self._acknowledged[event["id"]] = asyncio.Event()
        return bool(subscribers)

    def _send(self, event: JsonObject) -> None:
        for endpoint in self._subscribers(event):
            self._spawn(self._deliver(event, endpoint))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a webhook delivery broke", exc_info=error)

    async def _send_later(self, event: JsonObject, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._send(event)

    def _gather(self, event: JsonObject) -> None:
        self._reordering.append(event)
        if len(self._reordering) == 1:
            self._spawn(self._send_backwards(self.mode.seconds))
        if len(self._reordering) >= self.mode.size:
            self._spawn(self._send_backwards(0))

    async def _send_backwards(self, seconds: float) -> None:
        """Send what was gathered, newest first, each after the answer to the one before it."""
        await asyncio.sleep(seconds)
        events, self._reordering = self._reordering, []
        for event in reversed(events):
            for endpoint in self._subscribers(event):
                if not _is_success(await self._attempt(event, endpoint, 1)):
                    self._spawn(self._deliver(event, endpoint, tries_before=1))

    async def _deliver(self, event: JsonObject, endpoint: JsonObject, tries_before: int = 0) -> None:
        delay = self._config.webhook_retry_base
        for number in range(tries_before + 1, self._config.webhook_max_tries + 1):
            if number > 1:
                await asyncio.sleep(delay)
                delay = min(delay * 2, self._config.webhook_retry_max)
            if endpoint["id"] not in self._store.endpoints:
                return
            if _is_success(await self._attempt(event, endpoint, number)):
                return
        _LOG.warning("gave up on %s (%s) for %s", event["id"], event["type"], endpoint["url"])

    async def _attempt(self, event: JsonObject, endpoint: JsonObject, number: int) -> int | None:
        """One signed request; its status, or None when there was no answer."""
        status, problem = await self._post(event, endpoint)
        self.attempts.append(
            {
                "event": event["id"],
                "type": event["type"],
                "endpoint": endpoint["id"],
                "try": number,
                "status": status,
                "error": problem,
                "at": time.time(),
            }
        )
        if _is_success(status):
            self._mark_delivered(event, endpoint)
        return status

    async def _post(self, event: JsonObject, endpoint: JsonObject) -> tuple[int | None, str | None]:
        if self._client is None:
            raise RuntimeError("webhook delivery has not been started")
        body = json.dumps(event).encode()
        secrets = self._store.endpoints[endpoint["id"]].secrets
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(body, secrets, int(time.time())),
        }
        try:
            async with self._client.post(
                endpoint["url"], data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, None
        except (aiohttp.ClientError, TimeoutError) as error:
            return None, f"{type(error).__name__}: {error}"

    def _mark_delivered(self, event: JsonObject, endpoint: JsonObject) -> None:
        pending = self._pending.get(event["id"], set())
        pending.discard(endpoint["id"])
        event["pending_webhooks"] = len(pending)
        if not pending:
            self._pending.pop(event["id"], None)
            if (acknowledged := self._acknowledged.pop(event["id"], None)) is not None:
                acknowledged.set()


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300
