"""The front end as an aiohttp application: its routes, what surrounds them, and what lives as long as it does."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from paywindow.front import (
    checkout,
    context,
    docs,
    health,
    makers,
    methods,
    metrics,
    middleware,
    openapi,
    operations,
    overrides,
    pages,
    receipts,
    refunds,
    sessions,
    streams,
    webhooks,
)
from paywindow.front.context import FRONT
from paywindow.settings import Settings

_STATIC = Path(__file__).parent / "static"


def build(settings: Settings) -> web.Application:
    """The application for settings that were loaded for the role ``front``. Connects to Redis when it is started."""
    app = web.Application(middlewares=[middleware.request_ids, metrics.count_requests, middleware.problems])
    app[FRONT] = context.make(settings)
    app.add_routes(_routes())
    if settings.receipt_url_secret is not None:
        app.router.add_get("/payments/receipts/files/{key:.+}", receipts.file)
    app.on_response_prepare.append(middleware.add_headers)
    app.on_shutdown.append(_release_waiters)
    app.cleanup_ctx.append(_running)
    return app


def _routes() -> list[web.AbstractRouteDef]:
    return [
        # Looked through in this order: first what is asked for most.
        web.get("/payments/checkout/{id}/status", checkout.status),
        web.post("/payments/checkout/create", checkout.create),
        web.post("/payments/checkout/{id}/cancel", checkout.cancel),
        web.get("/payments/checkout/{id}/events", streams.show, allow_head=False),
        web.get("/payments/checkout/{id}/window", overrides.window),
        web.post("/payments/checkout/{id}/buyer-token", sessions.buyer_token),
        web.get("/payments/sessions", sessions.find),
        web.post("/payments/checkout/{id}/expire", overrides.expire),
        web.post("/payments/checkout/{id}/extend", overrides.extend),
        web.post("/payments/checkout/{id}/reopen", overrides.reopen),
        web.post("/payments/checkout/{id}/grant-retry", overrides.grant_retry),
        web.post("/payments/checkout/{id}/resolve", refunds.resolve),
        web.post("/payments/refunds", refunds.refund),
        web.post("/payments/retry/{id}", overrides.retry),
        web.post("/pay/{id}/retry", overrides.retry_from_page),
        web.get("/payments/methods", methods.show),
        web.delete("/payments/methods/{id}", methods.detach),
        web.post("/payments/makers/{id}/account", makers.link),
        web.get("/payments/makers/{id}/account", makers.show),
        web.get("/payments/operations/{id}", operations.show),
        web.post("/payments/webhooks/stripe", webhooks.receive),
        web.get("/payments/receipts/{id}", receipts.show),
        web.get("/payments/receipts/{id}/download", receipts.download),
        web.get("/pay/{id}", pages.show),
        web.get("/healthz", health.healthz),
        web.get("/readyz", health.readyz),
        web.get("/openapi.json", openapi.show),
        web.get("/docs", docs.show),
        web.static("/static", _STATIC),
    ]


async def _release_waiters(app: web.Application) -> None:
    """Before running requests are waited for: those that wait for workers answer now (202 for a command)."""
    app[FRONT].waiter.release()


async def _running(app: web.Application) -> AsyncIterator[None]:
    async with context.running(app[FRONT]):
        yield
