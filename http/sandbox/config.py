"""What a sandbox is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from paywindow.sandbox.clock import clock_file_from_environment


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox; all have a default. Durations are in seconds, money in minor units."""

    webhook_url: str | None = None
    """A webhook endpoint that exists from the start (and after a reset)."""
    webhook_secrets: tuple[str, ...] = ()
    """Its signing secrets; two while one is being rolled. One is made up when the list is empty."""
    webhook_events: tuple[str, ...] = ("*",)
    webhook_retry_base: float = 1.0
    """Delay before the first retry; it doubles up to ``webhook_retry_max``. Stripe retries over three days."""
    webhook_retry_max: float = 60.0
    webhook_max_tries: int = 15
    webhook_timeout: float = 10.0
    success_wait: float = 10.0
    """How long the hosted page holds the buyer for the acknowledgement of ``checkout.session.completed``."""
    fee_basis_points: int = 290
    fee_fixed: int = 30
    fee_delay: float | None = None
    """When fees become known after a charge; None: only by the control API."""
    refund_delay: float | None = None
    """When pending refunds succeed, late ones fail, and references come in; None: only by the control API."""
    dispute_fee: int = 1500
    """What a dispute costs beside its amount, in minor units of its currency."""
    dispute_days: int = 9
    """How long there is time for evidence."""
    account_country: str = "US"
    account_currency: str = "usd"
    clock_file: Path | None = field(default_factory=clock_file_from_environment)
    tick: float = 1.0
    """How often sessions past their ``expires_at`` are looked for."""
    rate_limit: float | None = None
    """Requests per second and key; None: no limit. Stripe's test mode allows 25."""
    public_url: str | None = None
    """Base of the hosted page's address; None: the address under which the request came."""
    authentication_survives_expiry: bool = False
    """Whether a buyer who is inside 3-D Secure when the session expires can still be charged (undocumented)."""
