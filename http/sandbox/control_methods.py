"""The control API's customers and payment methods: what happens to them outside of Checkout and this program's API calls."""

from aiohttp import web

from paywindow.sandbox.cards import find_card
from paywindow.sandbox.control_http import add_operations
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.customers import delete_customer, update_customer
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.events import NO_REQUEST
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.saved_methods import detach, renew, save_card


class MethodControl:
    """The operations on customers and payment methods of one sandbox. All answer the object."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the operations into the application."""
        add_operations(
            app,
            [
                ("POST", "/customers/{customer}/methods", self.save),
                ("POST", "/customers/{customer}/default", self.set_default),
                ("POST", "/customers/{customer}/delete", self.delete_customer),
                ("POST", "/methods/{method}/renew", self.renew),
                ("POST", "/methods/{method}/detach", self.detach),
            ],
        )

    async def save(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Attach a test card (``card``, default 4242...; ``wallet``: apple_pay or google_pay)."""
        card = find_card(str(body.get("card", "4242424242424242")))
        if card is None:
            raise invalid(f"{body['card']} is not one of the test cards.", "card")
        return save_card(self._sandbox, request.match_info["customer"], card, body.get("wallet"))

    async def set_default(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Make ``method`` the customer's default (absent: none)."""
        settings = {"invoice_settings": {"default_payment_method": body.get("method", "")}}
        return update_customer(self._sandbox, request.match_info["customer"], settings, NO_REQUEST)

    async def delete_customer(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Delete the customer in the dashboard."""
        return delete_customer(self._sandbox, request.match_info["customer"], NO_REQUEST)

    async def renew(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Give a card a new expiry (``month``, ``year``), by the network's updater unless ``automatically`` is false."""
        month, year = body.get("month", 1), body.get("year", 2045)
        if not isinstance(month, int) or not isinstance(year, int):
            raise invalid("month and year must be integers", "month")
        return renew(self._sandbox, self._method(request), month, year, automatically=body.get("automatically", True))

    async def detach(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Detach in the dashboard, or by the buyer on Stripe's page."""
        return detach(self._sandbox, self._method(request))

    def _method(self, request: web.Request) -> JsonObject:
        return self._sandbox.store.get("payment_method", request.match_info["method"], "payment_method")
