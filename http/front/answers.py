"""Turning results into HTTP responses."""

from typing import Any

from aiohttp import hdrs, web

from paywindow import jsons
from paywindow.errors import Problem
from paywindow.published import Outcome

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

#: Seconds after which a client should ask again.
RETRY_AFTER = {"unavailable": "2", "timed_out": "2"}


def json_response(
    body: Any, *, status: int = 200, headers: dict[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """Compact JSON with exact money; never stored by caches, because it is about somebody's payment."""
    return json_text(jsons.dumps(body), status=status, headers=headers, content_type=content_type)


def json_text(
    text: str, *, status: int = 200, headers: dict[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """The same for a document that is JSON already."""
    return web.Response(
        body=text.encode(),
        status=status,
        headers={
            hdrs.CONTENT_TYPE: f"{content_type}; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-store",
            **(headers or {}),
        },
    )


def problem_response(problem: Problem) -> web.Response:
    """RFC 9457 problem+json."""
    headers = {}
    if problem.code == "unauthenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="paywindow"'
    if problem.code in RETRY_AFTER:
        headers["Retry-After"] = RETRY_AFTER[problem.code]
    return json_response(problem.body(), status=problem.status, headers=headers, content_type=PROBLEM_JSON)


def outcome_response(outcome: Outcome, headers: dict[str, str] | None = None) -> web.Response:
    """What the workers answered, as they answered it."""
    content_type = PROBLEM_JSON if outcome.status >= 400 else JSON
    return json_response(outcome.body, status=outcome.status, headers=headers, content_type=content_type)
