"""One sandbox: its store, clock, event log, webhook delivery, faults and counters, wired together."""

from collections import Counter, deque
from typing import TYPE_CHECKING

from paywindow.sandbox.clock import Clock
from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.delivery import WebhookDelivery
from paywindow.sandbox.endpoints import add_endpoint
from paywindow.sandbox.events import EventLog
from paywindow.sandbox.faults import FaultQueue, Holds
from paywindow.sandbox.idempotency import IdempotencyKeys
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.ratelimit import RateLimiter
from paywindow.sandbox.store import Store

if TYPE_CHECKING:
    from paywindow.sandbox.accounts import AccountLink


class Sandbox:
    """The state that all handlers share.

    Every change runs on the one event loop without awaiting, so requests see each other's work whole or not at all.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = Clock(config.clock_file)
        self.store = Store()
        self.delivery = WebhookDelivery(self.store, config)
        self.events = EventLog(self.store, self.clock, self.delivery.dispatch)
        self.faults = FaultQueue()
        self.holds = Holds()
        self.limiter = RateLimiter(config.rate_limit)
        self.idempotency = IdempotencyKeys()
        self.calls: Counter[str] = Counter()
        """API requests by method and route."""
        self.replays: Counter[str] = Counter()
        """Those among them that an idempotency key answered."""
        self.expiries: list[tuple[int, str]] = []
        """A heap of (expires_at, session id)."""
        self.without_fee: deque[str] = deque()
        """Paid charges whose fee may still be unknown, oldest first."""
        self.unsettled_refunds: deque[str] = deque()
        """Refunds that time has yet to work on, oldest first."""
        self.account_links: dict[str, AccountLink] = {}
        """Onboarding links by the token in their address."""
        self.account_id = new_id("acct_1")
        self.application_id = new_id("ca")
        self.created = self.clock.now()
        self._add_configured_endpoint()

    async def reset(self) -> None:
        """Forget everything but the configuration; held requests are let go."""
        self.holds.release()
        await self.delivery.forget()
        self.store.clear()
        self.faults.waiting.clear()
        self.limiter.set_rate(self.config.rate_limit)
        self.idempotency.clear()
        self.calls.clear()
        self.replays.clear()
        self.expiries.clear()
        self.without_fee.clear()
        self.unsettled_refunds.clear()
        self.account_links.clear()
        self._add_configured_endpoint()

    def _add_configured_endpoint(self) -> None:
        config = self.config
        if config.webhook_url is not None:
            secrets = list(config.webhook_secrets) or [new_id("whsec")]
            add_endpoint(
                self.store, config.webhook_url, list(config.webhook_events), secrets=secrets, created=self.clock.now()
            )
