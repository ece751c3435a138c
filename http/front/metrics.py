"""What the front end counts. A front end is one process; several have a port each, and Prometheus adds them up."""

import time
from collections.abc import Awaitable, Callable
from functools import cache

from aiohttp import web
from prometheus_client import Counter, Gauge, Histogram

from paywindow.webhook_signature import Reason

HTTP_REQUESTS = Counter(
    "payments_http_requests",
    "Requests answered, by route, method and status; `other` where the address or the method is none of ours.",
    ["route", "method", "status"],
)
HTTP_SECONDS = Histogram(
    "payments_http_request_seconds",
    "Until a request was answered, the wait for a worker's outcome included, by route. Streams are left out.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WEBHOOKS_ACCEPTED = Counter(
    "payments_webhook_accepted",
    "Webhooks taken into the queue, by the place in STRIPE_WEBHOOK_SECRET of the secret that signed them, from 0. While a "
    "secret is rolled, the old one may be dropped when its count stands still.",
    ["secret"],
)
WEBHOOKS_REJECTED = Counter("payments_webhook_rejected", "Webhook requests that were refused, by reason.", ["reason"])
STREAMS = Gauge("payments_event_streams", "Event streams that are open.")
STREAMS_ENDED = Counter(
    "payments_event_streams_ended",
    "Event streams that ended: final (nothing more will come), gone (the reader left), slow (it did not keep up), "
    "token (the buyer's token is over), stopping (the process ends).",
    ["reason"],
)

for _reason in Reason:
    WEBHOOKS_REJECTED.labels(_reason.value)

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_OTHER = "other"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the answer that all other middleware made of the request."""
    started = time.perf_counter()
    response = await handler(request)
    route = _route(request)
    method = request.method if request.method in _METHODS else _OTHER
    _answered(route, method, response.status).inc()
    if response.content_type != "text/event-stream":
        _seconds(route).observe(time.perf_counter() - started)
    return response


@cache
def _answered(route: str, method: str, status: int) -> Counter:
    return HTTP_REQUESTS.labels(route, method, str(status))


@cache
def _seconds(route: str) -> Histogram:
    return HTTP_SECONDS.labels(route)


@cache
def accepted(secret: int) -> Counter:
    """Webhooks that were signed with the secret at this place."""
    return WEBHOOKS_ACCEPTED.labels(str(secret))


def _route(request: web.Request) -> str:
    """The route as it is declared, with its placeholders: an address would be a label of its own for each session."""
    resource = request.match_info.route.resource
    return _OTHER if resource is None else resource.canonical
