"""What Debian's wkhtmltopdf cannot do: page numbers and document properties, by pypdf.

The page number is drawn as text in Helvetica, one of the fonts that every PDF reader brings (and the twin of the
receipt's Liberation Sans): no second run of the renderer, nothing to embed. Helvetica has Latin letters only, so the
texts of languages in another script number their pages in digits.
"""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import cast

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DecodedStreamObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    TextStringObject,
)

_MARGIN_LEFT = 51  # points; 18 mm, the left margin of the page
_BASELINE = 31  # points; in the middle of the bottom margin
_SIZE = 7.5
_GREY = 0.45
_HELVETICA = DictionaryObject(
    {
        NameObject("/Type"): NameObject("/Font"),
        NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
        NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
    }
)


@dataclass(frozen=True, slots=True)
class Properties:
    """A PDF's document properties, and what is printed below each page.

    ``language``: a BCP 47 tag; ``number``: the document's; ``page_text``: such as ``Page {page} of {pages}``.
    """

    title: str
    author: str
    subject: str
    created: datetime
    language: str
    number: str
    page_text: str


def stamp(pdf: bytes, properties: Properties) -> bytes:
    """The same pages, numbered, with their properties set."""
    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf)))
    total = len(writer.pages)
    for index, page in enumerate(writer.pages, start=1):
        place = properties.page_text.format(page=index, pages=total)
        _draw(writer, page, f"{properties.number} · {place}")
    _describe(writer, properties)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def _draw(writer: PdfWriter, page: PageObject, text: str) -> None:
    """Add a line of text in the bottom margin.

    The page's own content stays the bytes that wkhtmltopdf wrote, between a ``q`` and a ``Q`` that undo its coordinate
    system; pypdf's ``merge_page`` would parse and rewrite it, which costs more than it brings.
    """
    resources = cast("DictionaryObject", page["/Resources"])
    fonts = cast("DictionaryObject", resources["/Font"])
    fonts[NameObject("/PageNumber")] = _HELVETICA
    shown = text.encode("cp1252", errors="replace").hex()
    line = f"Q BT /PageNumber {_SIZE} Tf {_GREY} g {_MARGIN_LEFT} {_BASELINE} Td <{shown}> Tj ET"
    page[NameObject("/Contents")] = ArrayObject(
        [_stream(writer, "q"), page.raw_get("/Contents"), _stream(writer, line)]
    )


def _stream(writer: PdfWriter, operators: str) -> IndirectObject:
    stream = DecodedStreamObject()
    stream.set_data(operators.encode("ascii"))
    return writer._add_object(stream)


def _describe(writer: PdfWriter, properties: Properties) -> None:
    created = properties.created.strftime("D:%Y%m%d%H%M%S+00'00'")
    writer.metadata = {
        "/Title": properties.title,
        "/Author": properties.author,
        "/Subject": properties.subject,
        "/CreationDate": created,
        "/ModDate": created,
        "/Creator": "paywindow",
        "/Producer": "wkhtmltopdf, pypdf",
    }
    root = writer.root_object
    root[NameObject("/Lang")] = TextStringObject(properties.language)
    root[NameObject("/ViewerPreferences")] = DictionaryObject({NameObject("/DisplayDocTitle"): BooleanObject(True)})
    root[NameObject("/PageMode")] = NameObject("/UseNone")
