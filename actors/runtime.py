"""What the actors work with, made once a process from the settings."""

from dataclasses import dataclass

import redis

from paywindow.broker import SOCKET_TIMEOUT_SECONDS, Broker
from paywindow.budget import Budget
from paywindow.gateway import Gateway
from paywindow.keys import BuyerTokens
from paywindow.models.database import connect
from paywindow.published import Publisher
from paywindow.receipts.local_store import LocalStore
from paywindow.receipts.storage import ReceiptStore
from paywindow.settings import Settings, secret


@dataclass(frozen=True, slots=True)
class Runtime:
    """The outside world of an actor."""

    settings: Settings
    gateway: Gateway
    publisher: Publisher
    tokens: BuyerTokens
    budget: Budget
    receipts: ReceiptStore


_current: Runtime | None = None


def runtime() -> Runtime:
    """The process's runtime. Raises :class:`RuntimeError` before :func:`start`."""
    if _current is None:
        raise RuntimeError("start() has not been called")
    return _current


def start(settings: Settings, broker: Broker) -> Runtime:
    """Connect the process to Postgres, Redis, Stripe and the receipts' storage (lazily: nothing is called yet)."""
    global _current
    connect(secret(settings.database_url), settings.database_pool_size, broker.enqueue)
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
        receipts=_receipt_store(settings),
    )
    return _current


def _receipt_store(settings: Settings) -> ReceiptStore:
    if settings.payment_receipt_bucket is not None:
        # Loaded only where it is used: boto3 takes longer to import than everything else.
        from paywindow.receipts.s3_store import S3Store

        return S3Store(
            settings.payment_receipt_bucket,
            kms_key_arn=settings.receipt_kms_key_arn,
            lock_mode=settings.receipt_lock_mode,
            retain_days=settings.receipt_lock_days,
            endpoint_url=settings.aws_endpoint_url,
            region=settings.aws_region,
        )
    return LocalStore(settings.receipt_folder, settings.public, secret(settings.receipt_url_secret))
