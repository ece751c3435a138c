"""Paying on the sandbox's hosted page over HTTP, as a buyer's browser does: for the demo and the synthetic purchase."""

import html.parser
from urllib.parse import urljoin

import requests

from paywindow.errors import PaywindowError

PAYS, DECLINES = "4242424242424242", "4000000000000002"
_TIMEOUT = 30


class NoForm(PaywindowError):
    """The page cannot be paid on: it is closed, or not a page of the sandbox's."""


class _PaymentForm(html.parser.HTMLParser):
    """Finds where the hosted page's form goes."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form" and self.action is None:
            self.action = dict(attrs).get("action")


def submit_card(page_url: str, card: str) -> bool:
    """Do what a buyer does on the hosted page: open it, type a card, press pay. True when the page lets the buyer go on.

    Raises :class:`NoForm`, and :class:`requests.RequestException` when the page does not answer.
    """
    with requests.Session() as browser:
        page = browser.get(page_url, timeout=_TIMEOUT)
        page.raise_for_status()
        form = _PaymentForm()
        form.feed(page.text)
        if form.action is None:
            raise NoForm(f"{page_url} has no form to pay with")
        fields = {
            "email": "winner@example.com",
            "card_number": card,
            "expiry": "12 / 34",
            "cvc": "123",
            "name": "A. Winner",
        }
        answer = browser.post(urljoin(page_url, form.action), data=fields, allow_redirects=False, timeout=_TIMEOUT)
        return answer.status_code == 303
