"""What the actors work with, made once a process from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from paywindow.broker import SOCKET_TIMEOUT_SECONDS, Broker
from paywindow.budget import Budget
from paywindow.gateway import Gateway
from paywindow.keys import BuyerTokens
from paywindow.models.database import AtOnce, connect, nothing_at_once
from paywindow.notify.sinks import Sink, open_sinks
from paywindow.published import Publisher
from paywindow.receipts.storage import ReceiptStore
from paywindow.receipts.stores import open_store
from paywindow.settings import Settings, secret

if TYPE_CHECKING:
    from paywindow.segment import Segment


@dataclass(frozen=True, slots=True)
class Runtime:
    """The outside world of an actor."""

    settings: Settings
    gateway: Gateway
    publisher: Publisher
    tokens: BuyerTokens
    budget: Budget
    receipts: ReceiptStore
    sinks: Mapping[str, Sink]
    segment: "Segment | None"


_current: Runtime | None = None


def runtime() -> Runtime:
    """The process's runtime. Raises :class:`RuntimeError` before :func:`start`."""
    if _current is None:
        raise RuntimeError("start() has not been called")
    return _current


def start(settings: Settings, broker: Broker, at_once: AtOnce = nothing_at_once) -> Runtime:
    """Connect the process to Postgres, Redis, Stripe, the receipts' storage and who is told (lazily: nothing is called yet).

    ``at_once``: follow-ups that the process runs itself (see :func:`paywindow.models.database.connect`).
    """
    global _current
    connect(secret(settings.database_url), settings.database_pool_size, broker.enqueue, at_once)
    state = redis.Redis.from_url(
        settings.state_url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        health_check_interval=30,
    )
    budget = Budget(state, settings.stripe_calls_per_second)
    _current = Runtime(
        settings=settings,
        gateway=Gateway(
            secret(settings.stripe_secret_key),
            settings.stripe_api_base,
            settings.stripe_timeout_seconds,
            before_call=budget.spend,
        ),
        budget=budget,
        publisher=Publisher(state),
        tokens=BuyerTokens([value.get_secret_value() for value in settings.buyer_token_secrets]),
        receipts=open_store(settings),
        sinks=open_sinks(settings),
        segment=_open_segment(settings),
    )
    return _current


def _open_segment(settings: Settings) -> "Segment | None":
    if settings.segment_write_key is None:
        return None
    # Loaded only where it is used.
    from paywindow.segment import Segment

    return Segment(settings.segment_write_key.get_secret_value(), settings.segment_host)
