"""Stripe's hosted onboarding, look-alike: ``/setup/e/{account}/{token}``, reached by an account link.

A link is good once and for minutes: a used or old one leads to ``refresh_url``, where the platform has to make another.
Coming back by ``return_url`` does not mean that the owner told everything
(https://docs.stripe.com/connect/hosted-onboarding#handle-the-user-returning-to-your-platform).
"""

from aiohttp import web

from paywindow.sandbox.accounts import AccountLink, onboard
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.hosted import HEADERS, TEMPLATES


class OnboardingPage:
    """The pages of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the pages into the application."""
        app.router.add_get("/setup/e/{account}/{token}", self.show)
        app.router.add_post("/setup/e/{account}/{token}", self.submit)

    async def show(self, request: web.Request) -> web.Response:
        """The form. Opening the link uses it up."""
        link = self._link(request)
        if link.used or link.expires_at <= self._sandbox.clock.now():
            raise web.HTTPSeeOther(link.refresh_url)
        link.used = True
        account = self._sandbox.store.get("account", link.account)
        text = TEMPLATES.get_template("onboarding.html").render(account=account, action=request.path)
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def submit(self, request: web.Request) -> web.Response:
        """The owner tells everything, or leaves."""
        link = self._link(request)
        if not link.used:
            raise web.HTTPSeeOther(link.refresh_url)
        if (await request.post()).get("outcome") == "complete":
            onboard(self._sandbox, self._sandbox.store.get("account", link.account))
        raise web.HTTPSeeOther(link.return_url)

    def _link(self, request: web.Request) -> AccountLink:
        link = self._sandbox.account_links.get(request.match_info["token"])
        if link is None or link.account != request.match_info["account"]:
            body = TEMPLATES.get_template("unknown.html").render()
            raise web.HTTPNotFound(text=body, content_type="text/html", headers=HEADERS)
        return link
