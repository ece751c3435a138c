"""Receipt data to HTML and PDF.

Rendering the same data again gives the same text (the stored file's hash is the record of its bytes).
"""

from functools import cache

from babel import Locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from pypdf.errors import PyPdfError

from paywindow.errors import Permanent
from paywindow.receipts import bidi, formats
from paywindow.receipts.data import Line, ReceiptData
from paywindow.receipts.renderer import draw
from paywindow.receipts.stamp import Properties, stamp
from paywindow.receipts.texts import TEMPLATES, locale_for, texts
from paywindow.receipts.wkhtmltopdf import TIMEOUT_SECONDS, RenderFailed, RenderTimeout

__all__ = ["RenderFailed", "RenderTimeout", "UnknownTemplate", "render_html", "render_pdf"]

_BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "link": "Link",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


class UnknownTemplate(Permanent):
    """The data names a template version that this installation does not have."""


def render_html(data: ReceiptData) -> str:
    """The document as one self-contained HTML page. Raises :class:`UnknownTemplate`."""
    try:
        template = _environment().get_template(f"{data.template_version}/receipt.html")
    except TemplateNotFound as error:
        raise UnknownTemplate(f"there is no receipt template {data.template_version}") from error
    locale = locale_for(data.template_version, data.locale)
    return template.render(_context(data, locale))


def render_pdf(
    data: ReceiptData,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    executable: str | None = None,
    documents_per_process: int = 1,
) -> bytes:
    """The document as PDF: A4, pages numbered, properties set. Blocks; CPU-heavy.

    ``documents_per_process``: more than 1 keeps the renderer's process for further documents of this process.
    ``executable``: path of wkhtmltopdf, found on PATH when not given. Raises :class:`UnknownTemplate` (permanent),
    :class:`RenderTimeout` and :class:`RenderFailed` (transient).
    """
    pdf = draw(
        render_html(data), documents=documents_per_process, timeout_seconds=timeout_seconds, executable=executable
    )
    try:
        return stamp(pdf, _properties(data))
    except PyPdfError as error:
        raise RenderFailed(f"wkhtmltopdf gave a broken PDF of {len(pdf)} bytes: {error}") from error


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=bidi.words_in_spans,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["direction"] = bidi.direction
    return environment


def _context(data: ReceiptData, locale: Locale) -> dict[str, object]:
    t = texts(data.template_version, locale.language, data.kind)
    return {
        "t": t,
        "data": data,
        "language": locale.language,
        "direction": "rtl" if locale.text_direction == "rtl" else "ltr",
        "issued_on": formats.date(data.issued_at, data.timezone, locale),
        "paid_at": formats.date_and_time(data.paid_at, data.timezone, locale),
        "lines": [_line(line, data.currency, locale) for line in data.lines],
        "total": formats.money(data.total, data.currency, locale),
        "method": _method(data, t),
        "statement": _statement(data, locale),
    }


def _line(line: Line, currency: str, locale: Locale) -> dict[str, object]:
    return {
        "description": line.description,
        "quantity": line.quantity,
        "unit": formats.money(line.unit_amount, currency, locale),
        "amount": formats.money(line.amount, currency, locale),
    }


def _statement(data: ReceiptData, locale: Locale) -> dict[str, str | None] | None:
    if data.statement is None:
        return None
    fee, fee_currency = data.statement.stripe_fee, data.statement.stripe_fee_currency
    return {
        "payout": formats.money(data.statement.payout, data.currency, locale),
        "platform_fee": formats.money(-data.statement.platform_fee, data.currency, locale),
        "stripe_fee": None if fee is None or fee_currency is None else formats.money(fee, fee_currency, locale),
    }


def _method(data: ReceiptData, t: dict[str, str]) -> str:
    brand = _BRANDS.get(data.method.brand, data.method.brand.replace("_", " ").title())
    if data.method.last4:
        return t["ending_in"].format(brand=brand or t["card"], last4=data.method.last4)
    return brand


def _properties(data: ReceiptData) -> Properties:
    locale = locale_for(data.template_version, data.locale)
    t = texts(data.template_version, locale.language, data.kind)
    return Properties(
        title=f"{t['title']} {data.number}",
        author=data.issuer.name,
        subject="; ".join(line.description for line in data.lines),
        created=data.issued_at,
        language=locale.language,
        number=data.number,
        page_text=t["page"],
    )
