"""Receipts through the real wkhtmltopdf: the words are there, nothing gets in or out, a hang is ended."""

import os
import re
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from paywindow.receipts.data import Buyer, Issuer, Line, Method, ReceiptData, References
from paywindow.receipts.fonts import missing_fonts
from paywindow.receipts.render import render_pdf
from paywindow.receipts.wkhtmltopdf import RenderFailed, html_to_pdf


@pytest.fixture(autouse=True, scope="module")
def renderer_and_fonts() -> None:
    """Missing on a laptop is a reason to skip; in CI it is a failure."""
    missing = [name for name in ("wkhtmltopdf", "fc-list") if shutil.which(name) is None] or list(missing_fonts())
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")


def receipt(**changes: object) -> ReceiptData:
    content: dict[str, object] = {
        "number": "R-2026-000123",
        "issued_at": datetime(2026, 11, 14, 15, 4, 5, tzinfo=UTC),
        "paid_at": datetime(2026, 11, 14, 15, 3, 1, tzinfo=UTC),
        "issuer": Issuer(
            name="Gavel & Loom Ltd", address=("12 Saffron Hill", "London EC1N 8FD"), email="r@example.com"
        ),
        "buyer": Buyer(name="Jenny Rosen", email="jenny@example.com"),
        "lines": (Line(description="Stoneware vase", unit_amount=27550, amount=27550),),
        "total": 27550,
        "currency": "USD",
        "method": Method(brand="visa", last4="4242"),
        "references": References(payment_intent_id="pi_3QabcDEFghiJKLmn0pQRsTUv"),
    }
    return ReceiptData.model_validate({**content, **changes})


def words(pdf: bytes) -> str:
    """The text of all pages, with every run of spaces as one."""
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages))


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", ("Receipt", "$275.50", "Total paid", "November 14, 2026", "Visa ending in 4242", "Page 1 of 1")),
        ("de", ("Zahlungsbeleg", "275,50 $", "14. November 2026", "Endziffern 4242", "Seite 1 von 1")),
        ("fr", ("Reçu", "275,50 $US", "14 novembre 2026", "Total payé", "Page 1 sur 1")),
        ("es", ("Recibo", "275,50 US$", "14 de noviembre de 2026", "Total pagado", "Página 1 de 1")),
        ("ja", ("領収書", "$275.50", "2026年11月14日", "お支払い合計", "Visa(下4桁 4242)", "1 / 1")),
        ("ar", ("275.50", "US$", "2026", "4242", "1/1")),
    ],
)
def test_a_receipt_says_it_all_in_the_buyers_language(locale: str, expected: tuple[str, ...]) -> None:
    # Extraction finds spaces between Japanese characters that are none.
    text = words(render_pdf(receipt(locale=locale))).replace(" ", "")

    for part in (*expected, "R-2026-000123", "Gavel & Loom Ltd", "Jenny Rosen", "Stoneware vase", "pi_3QabcDEF"):
        assert part.replace(" ", "") in text


def fonts(pdf: bytes) -> set[str]:
    """The fonts of the first page, without the prefix of a subset (``ABCDEF+``)."""
    used = PdfReader(BytesIO(pdf)).pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    return {font.get_object()["/BaseFont"].lstrip("/").rpartition("+")[2] for font in used.values()}


@pytest.mark.parametrize(
    ("locale", "script"), [("en", set()), ("ja", {"IPAPGothic"}), ("ar", {"NotoSansArabicUI", "NotoSansArabicUI-Bold"})]
)
def test_every_script_has_the_font_that_was_chosen_for_it(locale: str, script: set[str]) -> None:
    """And no other, whatever the machine has installed; see ``paywindow.receipts.fonts`` for the packages."""
    used = {name.removesuffix("-Regular") for name in fonts(render_pdf(receipt(locale=locale)))}

    assert used == {"LiberationSans", "LiberationSans-Bold", "Helvetica"} | script


def test_arabic_words_are_drawn_inside_the_page_and_in_order() -> None:
    """Extraction gives shaped letters from left to right; unshaped and turned, they are the words of the table."""
    text = words(render_pdf(receipt(locale="ar")))
    letters = {unicodedata.normalize("NFKC", word) for word in text.split()}

    for word in ("إيصال", "تاريخ", "الوصف", "شكرًا"):
        assert {word, word[::-1]} & letters, word


def test_rendering_again_gives_the_same_text() -> None:
    data = receipt()
    again = ReceiptData.from_json(data.to_json())

    assert words(render_pdf(data)) == words(render_pdf(again))


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1250, "KWD", "KWD 1.250"), (27550, "JPY", "¥27,550"), (150000, "ISK", "ISK 1,500")],
)
def test_currencies_keep_their_own_decimals(minor: int, currency: str, shown: str) -> None:
    lines = (Line(description="Vase", unit_amount=minor, amount=minor),)

    assert shown in words(render_pdf(receipt(lines=lines, total=minor, currency=currency)))


def test_markup_in_a_description_is_printed_as_text() -> None:
    lines = (Line(description="<script>document.write('ran')</script>", unit_amount=5, amount=5),)

    assert "<script>document.write('ran')</script>" in words(render_pdf(receipt(lines=lines, total=5)))


def test_many_items_flow_onto_numbered_pages() -> None:
    lines = tuple(Line(description=f"Item number {n}", unit_amount=100, amount=100) for n in range(60))

    pdf = render_pdf(receipt(lines=lines, total=6000, locale="de"))

    pages = PdfReader(BytesIO(pdf)).pages
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        assert f"R-2026-000123 · Seite {number} von {len(pages)}" in page.extract_text()
    assert "Item number 59" in words(pdf)


def test_a_long_name_wraps_and_nothing_is_lost() -> None:
    name = "Porcelain " * 20 + "Donaudampfschifffahrtsgesellschaftskapitän" * 3

    text = words(render_pdf(receipt(lines=(Line(description=name, unit_amount=27550, amount=27550),))))

    assert name.replace(" ", "") in text.replace(" ", "")
    assert "$275.50" in text


def test_the_pdf_says_what_it_is() -> None:
    reader = PdfReader(BytesIO(render_pdf(receipt(locale="de-AT"))))
    about = reader.metadata
    assert about is not None

    assert about.title == "Zahlungsbeleg R-2026-000123"
    assert about.author == "Gavel & Loom Ltd"
    assert about.subject == "Stoneware vase"
    assert about.creation_date == datetime(2026, 11, 14, 15, 4, 5, tzinfo=UTC)
    assert str(reader.root_object["/Lang"]) == "de"


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """A web server on loopback: its address, and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "reference",
    [
        '<img src="{}/image.png">',
        '<link rel="stylesheet" href="{}/style.css">',
        '<style>@import "{}/import.css"; body {{ background: url({}/background.png) }}</style>',
        '<iframe src="{}/frame.html"></iframe>',
        '<object data="{}/object.swf"></object>',
        '<meta http-equiv="refresh" content="0; url={}/elsewhere">',
        '<script src="{}/script.js"></script>',
    ],
)
def test_nothing_is_fetched_from_the_network(visits: tuple[str, list[str]], reference: str) -> None:
    """Not even by a template that tries; whether it renders without, or fails, is up to wkhtmltopdf."""
    address, paths = visits
    document = f"<!DOCTYPE html><html><body>{reference.format(address, address)}text</body></html>"

    try:
        html_to_pdf(document)
    except RenderFailed as error:
        assert "network error" in str(error)

    assert paths == []


def test_an_address_in_the_data_is_text(visits: tuple[str, list[str]]) -> None:
    address, paths = visits
    lines = (Line(description=f"<img src={address}/image.png>", unit_amount=5, amount=5),)

    text = words(render_pdf(receipt(lines=lines, total=5)))

    assert f"<img src={address}/image.png>" in text
    assert paths == []


@pytest.mark.parametrize("tag", ["iframe src", "object data", "img src", "embed src"])
def test_no_local_file_is_read(tmp_path: Path, tag: str) -> None:
    secret = tmp_path / "secret.html"
    secret.write_text("<html><body>the-secret-words</body></html>")
    hole = '<meta name="pdfkit-enable-local-file-access" content="">'

    try:
        text = words(html_to_pdf(f'<html><head>{hole}</head><body><{tag}="{secret.as_uri()}"></body></html>'))
    except RenderFailed:
        return

    assert "the-secret-words" not in text


def test_scripts_do_not_run() -> None:
    assert (
        words(html_to_pdf("<html><body>still<script>document.write('ran')</script></body></html>")).strip() == "still"
    )
