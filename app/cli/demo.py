"""What ``paywindow demo`` shows: whole purchases over HTTP, against real processes, with the times of each step.

Nothing is called from the inside: the marketplace's requests go to the front end, the buyer opens the hosted page and types
a card, Stripe (the sandbox) sends its webhooks.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from paywindow.embedded.errors import EmbeddedError
from paywindow.embedded.stack import Stack
from paywindow.hosted_page import DECLINES, PAYS, submit_card

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0
_TIMEOUT = 30


@dataclass
class Timeline:
    """What happened when, in seconds since the purchase began."""

    receipt: Path | None = None
    began: float = field(default_factory=time.monotonic)
    steps: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, who: str, what: str) -> None:
        """Add a step that has just happened."""
        self.steps.append((time.monotonic() - self.began, who, what))

    def show(self, console: Console, title: str) -> None:
        """Print the steps as a table, and below it where the receipt is."""
        table = Table("time", "who", "what", title=title, title_justify="left")
        for seconds, who, what in self.steps:
            table.add_row(f"{seconds:7.3f} s", who, what)
        console.print(table)
        if self.receipt is not None:
            console.print(f"Receipt: {self.receipt}\n", soft_wrap=True, highlight=False, markup=False)


class Marketplace:
    """The marketplace's app: speaks to the front end with its service key."""

    def __init__(self, stack: Stack):
        self._url = stack.front_url
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {stack.service_key}"

    def create(self, item: str, amount: float | str) -> dict[str, Any]:
        """Open a payment session for a new auction."""
        body = f'{{"auctionId": "{uuid.uuid4()}", "buyerId": "{uuid.uuid4()}", "amount": {amount}, "currency": "USD", '
        body += f'"description": "{item}", "buyerEmail": "winner@example.com"}}'
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        answer = self._http.post(
            f"{self._url}/payments/checkout/create", data=body.encode(), headers=headers, timeout=_TIMEOUT
        )
        return _expect(answer, 201)

    def retry(self, session_id: str) -> dict[str, Any]:
        """Have a failed payment tried again on a new page."""
        return _expect(self._http.post(f"{self._url}/payments/retry/{session_id}", timeout=_TIMEOUT), 200)

    def status(self, session_id: str) -> dict[str, Any]:
        """How the session stands."""
        return _expect(self._http.get(f"{self._url}/payments/checkout/{session_id}/status", timeout=_TIMEOUT), 200)

    def wait(self, session_id: str, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Poll the status until ``condition`` holds. Raises :class:`EmbeddedError` when it does not in time."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition(found := self.status(session_id)):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{what} did not happen in {_PATIENCE_SECONDS:.0f} s; the session is {found}")
            time.sleep(_POLL_SECONDS)
        return found

    def download(self, url: str, to: Path) -> Path:
        """Follow a receipt's download link and keep the file."""
        answer = self._http.get(url, timeout=_TIMEOUT)
        if answer.status_code != 200 or not answer.content.startswith(b"%PDF"):
            raise EmbeddedError(f"{url} gave no PDF but {answer.status_code}")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(answer.content)
        return to


def purchase(
    market: Marketplace, item: str, amount: str, output: Path, *, declined_first: bool = False, retried: bool = False
) -> Timeline:
    """One whole purchase; the receipt is put into ``output``. ``retried``: after the decline, on a new page."""
    timeline = Timeline()
    created = market.create(item, amount)
    session = created["paymentSession"]
    timeline.note("marketplace", f"POST /payments/checkout/create → 201, pay until {session['expiresAt']}")
    page = session["stripeCheckoutUrl"]
    if declined_first:
        if submit_card(page, DECLINES):
            raise EmbeddedError("the card should have been declined")
        timeline.note("buyer", "types a card on the hosted page: declined")
        market.wait(session["id"], lambda found: found["paymentSession"]["status"] == "failed", "the decline")
        timeline.note("webhook", "payment_intent.payment_failed → failed; the page stays payable")
    if retried:
        page = market.retry(session["id"])["paymentSession"]["stripeCheckoutUrl"]
        timeline.note("buyer", "POST /payments/retry/{id} → the old page is closed, a new one is open")
    if not submit_card(page, PAYS):
        raise EmbeddedError("the card should have been accepted")
    timeline.note("buyer", "types a card on the hosted page: paid")
    market.wait(session["id"], lambda found: found["paymentSession"]["status"] == "completed", "the settlement")
    timeline.note("webhook", "checkout.session.completed → completed")
    done = market.wait(session["id"], lambda found: bool((found["receipt"] or {}).get("ready")), "the receipt")
    receipt = done["receipt"]
    timeline.note("receipt", f"{receipt['number']} issued, rendered and stored")
    timeline.receipt = market.download(receipt["downloadUrl"], output / f"{receipt['number']}.pdf")
    timeline.note("marketplace", "downloads the PDF")
    return timeline


def run_demo(console: Console, stack: Stack, output: Path) -> None:
    """Make the purchases and print their timelines. Raises :class:`EmbeddedError` when one does not come out right."""
    market = Marketplace(stack)
    purchase(market, "Walnut side table", "275.50", output).show(console, "A winner pays")
    second = purchase(market, "Brass ship's clock", "1240.00", output, declined_first=True)
    second.show(console, "A card is declined, another one pays on the same page")
    third = purchase(market, "Sea chest", "89.90", output, declined_first=True, retried=True)
    third.show(console, "A card is declined, the buyer tries again and pays on a new page")


def first_session(stack: Stack) -> dict[str, Any]:
    """A session to try the links with."""
    return Marketplace(stack).create("Walnut side table", "275.50")


def print_links(console: Console, stack: Stack, created: dict[str, Any]) -> None:
    """Say where everything is."""
    links = {
        "Buyer's page": created["payUrl"],
        "Checkout page": created["paymentSession"]["stripeCheckoutUrl"],
        "API": stack.front_url,
        "OpenAPI": f"{stack.front_url}/openapi.json",
        "Service key": stack.service_key,
        **({"Stripe sandbox": f"{stack.sandbox_url}/_sandbox/ledger"} if stack.sandbox_url else {}),
        **{f"Metrics, {name}": f"http://127.0.0.1:{port}/metrics" for name, port in stack.metrics_ports.items()},
        "Logs": str(stack.folder / "logs"),
    }
    console.print("\nRunning. Buy with the test card 4242 4242 4242 4242; 4000 0000 0000 0002 is declined.\n")
    for name, link in links.items():
        # Never cut or folded to the terminal's width: a link must survive being copied.
        console.print(f"{name:28} {link}", soft_wrap=True, highlight=False, markup=False)
    console.print("\nCtrl-C stops everything.")


def _expect(answer: requests.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise EmbeddedError(f"{answer.request.method} {answer.url} answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found
