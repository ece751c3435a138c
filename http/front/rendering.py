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

from paywindow.front import phases
from paywindow.front.declines import words_for_failure
from paywindow.front.texts import choose_locale, texts
from paywindow.money import to_minor
from paywindow.settings import Settings

if TYPE_CHECKING:
    from babel import Locale
    from jinja2 import Environment

_REFUNDED = ("refunded", "partially_refunded")
_TEMPLATES = Path(__file__).parent / "templates"
#: How card brands write themselves; others are Stripe's word with a capital.
_BRANDS = {
    "amex": "American Express",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "eftpos_au": "eftpos",
    "diners": "Diners Club",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A receipt or credit note. ``kind`` chooses its words; ``ready``: the file can be downloaded."""

    kind: str
    id: str
    number: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows.

    ``phase`` chooses its words; ``pay_url`` is there only when paying is possible, ``can_retry`` only when a new page may be
    asked for; ``remaining_ms`` is what the countdown starts with, 0 for none; ``failure`` is a key of the section ``failures``.
    """

    session_id: str
    phase: str
    explanation: str
    description: str | None
    amount: str
    expires_at: str
    deadline: str
    pay_url: str | None
    failure: str | None
    card: dict[str, str] | None
    documents: tuple[Document, ...]
    tries_left: int
    can_retry: bool
    timed: bool
    remaining_ms: int
    refunded: str | None
    late_refunded: bool
    moving: bool


def payment_page(
    snapshot: dict[str, Any], *, etag: str, root: str, remaining_ms: int, settings: Settings, accept_language: str = ""
) -> str:
    """The page of a session.

    ``snapshot`` is the buyer's shape; ``root`` the path under which the front end is public; ``remaining_ms`` what is left of
    the window by the server's clock; ``accept_language`` what the browser prefers, for a session without a language.
    """
    locale = choose_locale(snapshot["paymentSession"].get("locale"), accept_language)
    shown = page(snapshot, locale, remaining_ms)
    return _render("pay.html", locale, page=shown, etag=etag, root=root, settings=settings)


def problem_page(code: str, *, root: str, accept_language: str = "") -> str:
    """A page that says what went wrong, for a problem's code."""
    locale = choose_locale(None, accept_language)
    known = texts(locale.language).has("problems", code)
    return _render("problem.html", locale, problem=code if known else "otherwise", root=root)


def page(snapshot: dict[str, Any], locale: "Locale", remaining_ms: int = 0) -> Page:
    """Read a snapshot (the buyer's shape) as a person would."""
    session, retry = snapshot["paymentSession"], snapshot.get("retry") or {}
    session = {**session, "stripeCheckoutUrl": _web_address(session.get("stripeCheckoutUrl"))}
    phase = phases.phase({**snapshot, "paymentSession": session})
    pay_url = session["stripeCheckoutUrl"] if phase in phases.PAYABLE else None
    can_retry = phase == "failed" and pay_url is None and bool(retry.get("canRetry"))
    timed = phase in phases.TIMED and bool(phase != "failed" or pay_url or can_retry)
    return Page(
        session_id=session["id"],
        phase=phase,
        explanation=_explanation(phase, pay_url, can_retry),
        description=session.get("description"),
        amount=_amount(session["amount"], session["currency"], locale),
        expires_at=session["expiresAt"],
        deadline=_moment(session["expiresAt"], locale),
        pay_url=pay_url,
        failure=words_for_failure(snapshot) if phase == "failed" else None,
        card=_card(snapshot) if phase in ("completed", *_REFUNDED) else None,
        documents=_documents(snapshot),
        tries_left=int(retry.get("left", 0)),
        can_retry=can_retry,
        timed=timed,
        remaining_ms=remaining_ms if timed else 0,
        refunded=_refunded(snapshot, session["currency"], locale) if phase in _REFUNDED else None,
        late_refunded=phase in ("expired", "canceled") and bool(_refunds(snapshot)),
        moving=not phases.is_final(snapshot),
    )


def _explanation(phase: str, pay_url: str | None, can_retry: bool) -> str:
    if phase != "failed":
        return phase
    return "failed_page" if pay_url else "failed_retry" if can_retry else "failed_over"


def _documents(snapshot: dict[str, Any]) -> tuple[Document, ...]:
    receipt, notes = snapshot.get("receipt"), snapshot.get("creditNotes") or []
    found = [("receipt", receipt)] if receipt else []
    found += [("credit_note", note) for note in notes]
    return tuple(Document(kind, each["id"], each.get("number") or "", bool(each.get("ready"))) for kind, each in found)


def _card(snapshot: dict[str, Any]) -> dict[str, str] | None:
    card = (snapshot.get("transaction") or {}).get("card")
    if not card or not card.get("last4") or not card.get("brand"):
        return None
    return {"brand": _BRANDS.get(card["brand"], card["brand"].title()), "last4": card["last4"]}


def _web_address(url: str | None) -> str | None:
    """Only http(s) becomes a link: a template cannot know what ``javascript:`` would do."""
    return url if url and urlsplit(url).scheme in ("https", "http") else None


def _amount(amount: Decimal | int, currency: str, locale: "Locale") -> str:
    from paywindow.receipts import formats

    return formats.money(to_minor(Decimal(amount), currency), currency, locale)


def _refunded(snapshot: dict[str, Any], currency: str, locale: "Locale") -> str | None:
    """What went back, or is on its way, if anything."""
    amounts = [each["amount"] for each in _refunds(snapshot)]
    return _amount(sum(amounts), currency, locale) if amounts else None


def _refunds(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in snapshot.get("refunds") or [] if each["status"] in ("pending", "succeeded")]


def _moment(text: str, locale: "Locale") -> str:
    from paywindow.receipts import formats

    return formats.date_and_time(datetime.fromisoformat(text), "UTC", locale)


def _render(template: str, locale: "Locale", **values: Any) -> str:
    words = texts(locale.language)
    language = str(locale).replace("_", "-")
    return _environment().get_template(template).render(words=words, language=language, **values)


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
