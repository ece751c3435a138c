"""The control API's disputes: what buyers, their banks, and people in Stripe's dashboard do."""

from collections.abc import Callable

from aiohttp import web

from paywindow.sandbox.control_http import Operation, add_operations
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.disputes import close_inquiry, escalate, lose, open_dispute, review, win, withdraw_funds
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.jsontypes import JsonObject

_STEPS: dict[str, Callable[[Sandbox, JsonObject], JsonObject]] = {
    "withdraw": withdraw_funds,
    "review": review,
    "escalate": escalate,
    "win": win,
    "lose": lose,
    "close": close_inquiry,
}


class DisputeControl:
    """The operations on the disputes of one sandbox. All answer the dispute."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the operations into the application: one to open a dispute, and one for each of the steps."""
        steps = [("POST", f"/disputes/{{dispute}}/{name}", self._step(step)) for name, step in _STEPS.items()]
        add_operations(app, [("POST", "/disputes", self.open), *steps])

    async def open(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Dispute a ``charge``: ``amount`` (all that is left if absent), ``reason``, ``inquiry``, ``withdraw`` (default true)."""
        charge = self._sandbox.store.get("charge", str(body.get("charge")), "charge")
        amount = body.get("amount")
        if amount is not None and not isinstance(amount, int):
            raise invalid("amount must be an integer", "amount")
        return open_dispute(
            self._sandbox,
            charge,
            reason=str(body.get("reason", "fraudulent")),
            amount=amount,
            inquiry=bool(body.get("inquiry")),
            withdraw=bool(body.get("withdraw", True)),
        )

    def _step(self, step: Callable[[Sandbox, JsonObject], JsonObject]) -> Operation:
        async def take(request: web.Request, body: JsonObject) -> JsonObject:
            return step(self._sandbox, self._sandbox.store.get("dispute", request.match_info["dispute"], "dispute"))

        return take
