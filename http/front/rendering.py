"""The buyer's page as HTML: what a snapshot means to a person, put into the templates.

Jinja2 and Babel are loaded with the first page, not with the process.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from paywindow.settings import Settings

if TYPE_CHECKING:
    from babel import Locale
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"

#: States in which the buyer can pay.
_PAYABLE = ("pending", "failed")
#: States in which the time to pay runs and is worth watching, as long as there is a way to pay.
_TIMED = ("preparing", "pending", "failed")
#: States that change by themselves, so that the page looks again. Expired too: an admin may open the window again, and a
#: payment made in time may be learned of later.
_MOVING = ("preparing", "pending", "failed", "processing", "closing", "held", "expired")


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows.

    ``state`` chooses its words; ``pay_url`` is there only when paying is possible, ``can_retry`` only when a new page may be
    asked for; ``remaining_ms`` is what the countdown starts with, 0 for none.
    """

    session_id: str
    state: str
    description: str
    amount: str
    expires_at: str
    deadline: str
    pay_url: str | None
    failure: str | None
    receipt_id: str | None
    receipt_number: str | None
    receipt_ready: bool
    tries_left: int
    can_retry: bool
    timed: bool
    remaining_ms: int
    moving: bool


def payment_page(snapshot: dict[str, Any], *, etag: str, root: str, remaining_ms: int, settings: Settings) -> str:
    """The page of a session.

    ``snapshot`` is the buyer's shape; ``root`` the path under which the front end is public; ``remaining_ms`` what is left of
    the window by the server's clock.
    """
    template = _environment().get_template("pay.html")
    return template.render(page=page(snapshot, remaining_ms), etag=etag, root=root, settings=settings)


def problem_page(title: str, text: str, *, root: str) -> str:
    """A page that says what went wrong."""
    return _environment().get_template("problem.html").render(title=title, text=text, root=root)


def page(snapshot: dict[str, Any], remaining_ms: int = 0) -> Page:
    """Read a snapshot (the buyer's shape) as a person would."""
    retry = snapshot.get("retry") or {}
    session, receipt = snapshot["paymentSession"], snapshot.get("receipt")
    pay_url, locale = _web_address(session.get("stripeCheckoutUrl")), _locale(session.get("locale"))
    state = _state(session, pay_url)
    pay_url = pay_url if state in _PAYABLE else None
    can_retry = state == "failed" and pay_url is None and bool(retry.get("canRetry"))
    timed = state in _TIMED and bool(state != "failed" or pay_url or can_retry)
    return Page(
        session_id=session["id"],
        state=state,
        description=session.get("description") or "Your auction win",
        amount=_amount(session["amount"], session["currency"], locale),
        expires_at=session["expiresAt"],
        deadline=_moment(session["expiresAt"], locale),
        pay_url=pay_url,
        failure=(session.get("failure") or {}).get("message"),
        receipt_id=receipt and receipt["id"],
        receipt_number=receipt and receipt.get("number"),
        receipt_ready=bool(receipt and receipt.get("ready")),
        tries_left=int(retry.get("left", 0)),
        can_retry=can_retry,
        timed=timed,
        remaining_ms=remaining_ms if timed else 0,
        moving=state in _MOVING or (state == "completed" and not (receipt and receipt.get("ready"))),
    )


def _state(session: dict[str, Any], pay_url: str | None) -> str:
    status: str = session["status"]
    if session.get("hold"):
        return "held"
    if status in _PAYABLE and session.get("closing"):
        return "closing"
    return "preparing" if status == "pending" and pay_url is None else status


def _web_address(url: str | None) -> str | None:
    """Only http(s) becomes a link: a template cannot know what ``javascript:`` would do."""
    return url if url and urlsplit(url).scheme in ("https", "http") else None


def _amount(amount: Decimal | int, currency: str, locale: "Locale") -> str:
    from babel.numbers import format_currency

    return format_currency(amount, currency, locale=locale)


def _moment(text: str, locale: "Locale") -> str:
    from babel.dates import format_datetime

    return format_datetime(datetime.fromisoformat(text), "d MMMM y, HH:mm 'UTC'", locale=locale)


def _locale(tag: str | None) -> "Locale":
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(tag or "en", sep="-")
    except (UnknownLocaleError, ValueError):  # "auto", or a language that Babel does not know
        return Locale("en")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
