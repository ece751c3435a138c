"""Around every handler: a request id, errors as problem+json (or as a page, for browsers), and the headers of all
answers."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger
from multidict import CIMultiDict
from redis.exceptions import OutOfMemoryError, RedisError

from paywindow import logs
from paywindow.enqueue import NotEnqueued, QueueFull
from paywindow.errors import Problem, Transient
from paywindow.front import headers, pages
from paywindow.front.answers import problem_response
from paywindow.front.context import FRONT
from paywindow.front.fields import UUID

log = logging.getLogger(__name__)
access_log = logging.getLogger("paywindow.front.access")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = web.RequestKey("request_id", str)
#: What the id in an address is, by what stands before it.
_PATH_IDS = {
    "/payments/checkout/": "session_id",
    "/payments/retry/": "session_id",
    "/pay/": "session_id",
    "/payments/operations/": "operation_id",
}

_HEADERS = CIMultiDict(
    {
        "Server": "paywindow",
        "X-Content-Type-Options": "nosniff",
        # Tokens travel in one URL of the buyer's page; no other site may learn it.
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Paths that people open in a browser.
_PAGES = ("/pay/", "/payments/receipts/")


@web.middleware
async def request_ids(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id before anything else can log about it.

    aiohttp handles each request in a task of its own, up to its access line: what is bound here and in the handler is on that
    line, too, and on no line of another request.
    """
    request[REQUEST_ID] = headers.request_id(request)
    logs.bind(request_id=request[REQUEST_ID], **_ids_in_path(request.match_info))
    return await handler(request)


def _ids_in_path(match: web.UrlMappingMatchInfo) -> dict[str, str]:
    if "id" not in match or (resource := match.route.resource) is None:
        return {}
    name = _PATH_IDS.get(resource.canonical.partition("{id}")[0])
    return {name: match["id"]} if name and UUID.fullmatch(match["id"]) else {}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into answers. Nothing of an unexpected error reaches the caller but the request's id."""
    allow = {}
    try:
        return await handler(request)
    except Problem as error:
        problem = error
    except (NotEnqueued, RedisError, Transient) as error:
        log.warning("unavailable: %s", type(error.__cause__ or error).__name__)
        problem = Problem("unavailable", f"{_reason(error)}; nothing was lost, try again.")
    except web.HTTPNotFound:
        problem = Problem("not_found", "There is nothing at this address.")
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
        problem = Problem("method_not_allowed", f"{request.method} is not allowed here.")
    except web.HTTPException:
        raise
    except Exception:
        log.exception("request failed")
        problem = Problem("internal_error", "The error is on record.", requestId=request[REQUEST_ID])
    response = pages.problem_page(request, problem) if _wants_page(request) else problem_response(problem)
    response.headers.update(allow)
    return response


def _reason(error: Exception) -> str:
    if isinstance(error, QueueFull):
        return "Too many requests wait for the queue right now"
    if isinstance(error.__cause__ or error, OutOfMemoryError):
        return "The queue is full right now"
    return "The queue cannot be reached right now"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """``on_response_prepare``: what every answer carries, static files included."""
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    if request.app[FRONT].leaving:
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()
    response.headers.update(_HEADERS)
    if response.content_type != "application/pdf":  # a browser's own viewer would be subject to it
        response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY


class AccessLogger(AbstractAccessLogger):
    """One line per request; of a read that succeeded only at DEBUG: there are many, and metrics count them.

    Never the query, a referrer, a cookie or a body: tokens live there.
    """

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called by aiohttp when the answer is out; ``time`` in seconds."""
        level = logging.DEBUG if request.method in ("GET", "HEAD") and response.status < 400 else logging.INFO
        path, milliseconds = request.rel_url.raw_path, time * 1000
        access_log.log(level, "%s %s %d %.1fms", request.method, path, response.status, milliseconds)


def _wants_page(request: web.Request) -> bool:
    return request.path.startswith(_PAGES) and "text/html" in request.headers.get("Accept", "")
