"""The table of API routes. A resource is a module with a list of :class:`Route`; :mod:`.pipeline` joins them.

A handler is a plain function: it takes the sandbox and the call, changes state without awaiting, and returns the object
to send. Parameters have been checked by then; what it raises as StripeError counts as executed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.events import Cause
from paywindow.sandbox.jsontypes import JsonObject


@dataclass(frozen=True, slots=True)
class Call:
    """One API request on its way to a handler."""

    ids: dict[str, str]
    """Ids in the path, by their name in the route."""
    params: dict[str, Any]
    cause: Cause
    base: str
    """Scheme, host and port under which this server was reached."""


Handler: TypeAlias = Callable[[Sandbox, Call], JsonObject]


@dataclass(frozen=True, slots=True)
class Route:
    """``template`` is a path with names in braces; ``params`` the SDK's TypedDict of the request."""

    method: str
    template: str
    handler: Handler
    params: type

    @property
    def name(self) -> str:
        """How the route is counted: ``POST /v1/checkout/sessions/{session}``."""
        return f"{self.method} {self.template}"


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.template)), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the ids in the path; raises Stripe's 404 for an address that it does not have."""
        for pattern, route in self._routes:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        raise StripeError(
            f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
            "https://support.stripe.com/.",
            status=404,
        )
