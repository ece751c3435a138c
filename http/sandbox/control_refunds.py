"""The control API's refunds: what people do in Stripe's dashboard, and what buyers' banks do later.

None of it counts as an API call, and its events name no request.
"""

from typing import Any

from aiohttp import web
from stripe.params import RefundCreateParams

from paywindow.sandbox.control_http import add_operations
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.forms import FormValue
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.refunds import (
    cancel_refund,
    create_refund,
    fail_refund,
    require_action,
    settle_refunds,
    succeed_refund,
)
from paywindow.sandbox.sdk_types import schema_of


class RefundControl:
    """The operations on the refunds of one sandbox. All but :meth:`settle` answer the refund."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the operations into the application."""
        add_operations(
            app,
            [
                ("POST", "/refunds", self.create),
                ("POST", "/refunds/settle", self.settle),
                ("POST", "/refunds/{refund}/succeed", self.succeed),
                ("POST", "/refunds/{refund}/fail", self.fail),
                ("POST", "/refunds/{refund}/cancel", self.cancel),
                ("POST", "/refunds/{refund}/require-action", self.require_action),
            ],
        )

    async def create(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Refund in the dashboard: ``payment_intent`` or ``charge``, ``amount`` and the API's other parameters."""
        form = {name: _form_value(value) for name, value in body.items()}
        return create_refund(self._sandbox, schema_of(RefundCreateParams).check_all(form))

    async def settle(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Let time do its work on all refunds: the pending succeed, those of the late refusing card fail."""
        return {"refunds": settle_refunds(self._sandbox)}

    async def succeed(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A pending refund reaches the buyer."""
        return succeed_refund(self._sandbox, self._refund(request))

    async def fail(self, request: web.Request, body: JsonObject) -> JsonObject:
        """The bank sends a refund back, pending or succeeded: ``reason``, one of Stripe's ``failure_reason``."""
        return fail_refund(self._sandbox, self._refund(request), str(body.get("reason", "expired_or_canceled_card")))

    async def cancel(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Cancel a pending refund in the dashboard."""
        return cancel_refund(self._sandbox, self._refund(request))

    async def require_action(self, request: web.Request, body: JsonObject) -> JsonObject:
        """A pending refund comes to wait for the buyer."""
        return require_action(self._sandbox, self._refund(request))

    def _refund(self, request: web.Request) -> JsonObject:
        return self._sandbox.store.get("refund", request.match_info["refund"], "refund")


def _form_value(value: Any) -> FormValue:
    """A JSON value as the API's form encoding would carry it."""
    if isinstance(value, dict):
        return {name: _form_value(item) for name, item in value.items()}
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
