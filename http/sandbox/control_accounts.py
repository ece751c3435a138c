"""The control API's connected accounts: what their owners do, and what Stripe comes to want.

None of it counts as an API call, and its events name no request.
"""

from aiohttp import web

from paywindow.sandbox.accounts import deauthorize, onboard, restrict
from paywindow.sandbox.control_http import add_operations
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.payouts import pay_out


class AccountControl:
    """The operations on the connected accounts of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the operations into the application."""
        add_operations(
            app,
            [
                ("POST", "/accounts/{account}/onboard", self.onboard),
                ("POST", "/accounts/{account}/restrict", self.restrict),
                ("POST", "/accounts/{account}/deauthorize", self.deauthorize),
                ("POST", "/accounts/{account}/payout", self.payout),
            ],
        )

    async def onboard(self, request: web.Request, body: JsonObject) -> JsonObject:
        """The owner tells everything; the account."""
        return onboard(self._sandbox, self._account(request))

    async def restrict(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Stripe wants ``fields`` (a list), by ``deadline`` (Unix seconds) or at once; ``payouts_only``. The account."""
        fields = body.get("fields", ["individual.verification.document"])
        if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
            raise invalid("fields must be a list of strings", "fields")
        return restrict(
            self._sandbox,
            self._account(request),
            fields,
            deadline=body.get("deadline"),
            payouts_only=bool(body.get("payouts_only")),
        )

    async def deauthorize(self, request: web.Request, body: JsonObject) -> JsonObject:
        """The owner disconnects the account; the event."""
        return deauthorize(self._sandbox, self._account(request))

    async def payout(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Stripe pays the account's balance in ``currency`` out to its bank, which refuses it if ``fails``."""
        currency = str(body.get("currency", "usd"))
        return pay_out(self._sandbox, self._account(request), currency, fails=bool(body.get("fails")))

    def _account(self, request: web.Request) -> JsonObject:
        return self._sandbox.store.get("account", request.match_info["account"], "account")
