"""Stripe's hosted Checkout page, look-alike: ``/c/pay/{session}``. Plain forms, no JavaScript.

A buyer who has paid is sent to ``success_url`` once the marketplace has acknowledged ``checkout.session.completed``, or
after ten seconds (https://docs.stripe.com/checkout/fulfillment).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from paywindow.sandbox.cards import TEST_CARDS
from paywindow.sandbox.checkout import expire_due
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.methods import CardMethod, DelayedMethod, SavedCard
from paywindow.sandbox.money import display
from paywindow.sandbox.page_form import FormError, read_buyer, read_method
from paywindow.sandbox.payments import Result, authenticate, offers_saving, pay
from paywindow.sandbox.saved_methods import offered, saved_card

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HostedPage:
    """The pages of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the pages into the application."""
        app.router.add_get("/c/pay/{session}", self.show)
        app.router.add_post("/c/pay/{session}", self.submit)
        app.router.add_get("/c/pay/{session}/authenticate", self.show_authentication)
        app.router.add_post("/c/pay/{session}/authenticate", self.end_authentication)

    async def show(self, request: web.Request) -> web.Response:
        """The page as the session stands: to be paid, or a note that it is over."""
        return self._page(self._session(request))

    async def submit(self, request: web.Request) -> web.Response:
        """Pay. A decline shows the page again, with the reason, for another card."""
        fields = _text_fields(await request.post())
        session = self._session(request)
        if session["status"] != "open":
            return self._page(session)
        try:
            buyer = read_buyer(fields, _known_email(session))
            method = self._read_method(session, fields)
            result = pay(self._sandbox, session, method, buyer, save=fields.get("save") == "yes")
        except FormError as error:
            return self._page(session, fields=fields, problems=error.problems, status=422)
        return await self._after(result, fields)

    def _read_method(self, session: JsonObject, fields: Mapping[str, str]) -> CardMethod | DelayedMethod | SavedCard:
        """What the buyer chose: a saved card by its id, or what was typed."""
        chosen = fields.get("method", "")
        if chosen in [method["id"] for method in offered(self._sandbox.store, session)]:
            return saved_card(self._sandbox.store, session, chosen)
        return read_method(fields, self._sandbox.clock.now())

    async def show_authentication(self, request: web.Request) -> web.Response:
        """The 3-D Secure step, while one is open."""
        session = self._session(request)
        if self._sandbox.store.checkouts[session["id"]].authenticating is None:
            return self._page(session)
        return self._render("authenticate.html", session)

    async def end_authentication(self, request: web.Request) -> web.Response:
        """The buyer completes or fails the step."""
        fields = _text_fields(await request.post())
        session = self._session(request)
        if self._sandbox.store.checkouts[session["id"]].authenticating is None:
            return self._page(session)
        return await self._after(authenticate(self._sandbox, session, passed=fields.get("outcome") == "complete"), {})

    async def _after(self, result: Result, fields: Mapping[str, str]) -> web.Response:
        session = result.session
        if result.outcome == "requires_action":
            raise web.HTTPSeeOther(f"/c/pay/{session['id']}/authenticate")
        if result.completed is None:
            return self._page(session, fields=fields, declined=result.message, status=402 if result.message else 200)
        await self._sandbox.delivery.acknowledged(result.completed, self._sandbox.config.success_wait)
        raise web.HTTPSeeOther(success_url(session))

    def _session(self, request: web.Request) -> JsonObject:
        expire_due(self._sandbox)
        session = self._sandbox.store.find("checkout.session", request.match_info["session"])
        if session is None:
            body = TEMPLATES.get_template("unknown.html").render()
            raise web.HTTPNotFound(text=body, content_type="text/html", headers=HEADERS)
        return session

    def _page(
        self,
        session: JsonObject,
        *,
        fields: Mapping[str, str] | None = None,
        problems: Mapping[str, str] | None = None,
        declined: str | None = None,
        status: int = 200,
    ) -> web.Response:
        if session["status"] != "open":
            return self._render("closed.html", session, back=_way_back(session))
        return self._render(
            "pay.html",
            session,
            status=status,
            fields=fields or {},
            problems=problems or {},
            declined=declined,
            cards=TEST_CARDS.values(),
            email=_known_email(session) or "",
            saved=offered(self._sandbox.store, session),
            may_save=offers_saving(session),
            delayed=[name for name in session["payment_method_types"] if name != "card"],
        )

    def _render(self, template: str, session: JsonObject, *, status: int = 200, **values: Any) -> web.Response:
        items = self._sandbox.store.checkouts[session["id"]].line_items
        text = TEMPLATES.get_template(template).render(session=session, items=items, money=display, **values)
        return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def _known_email(session: JsonObject) -> str | None:
    """The buyer's address, as the marketplace gave it or the customer has it."""
    return session["customer_email"] or (session["customer_details"] or {}).get("email")


def success_url(session: JsonObject) -> str:
    """``success_url`` with the literal ``{CHECKOUT_SESSION_ID}`` replaced."""
    url: str = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _way_back(session: JsonObject) -> str | None:
    url: str | None = success_url(session) if session["status"] == "complete" else session["cancel_url"]
    return url


def _text_fields(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}
