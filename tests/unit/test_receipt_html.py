"""The page before it becomes a PDF: complete in every language, and nothing but text from the data."""

import json
import string
from datetime import UTC, datetime

import pytest
from babel import Locale

from paywindow.receipts import formats
from paywindow.receipts.data import Buyer, Issuer, Kind, Line, Method, ReceiptData, Statement
from paywindow.receipts.render import UnknownTemplate, render_html
from paywindow.receipts.texts import TEMPLATES, languages, locale_for, texts

VERSION = "2026-11-01"
LANGUAGES = ("ar", "de", "en", "es", "fr", "ja")


def receipt(**changes: object) -> ReceiptData:
    moment = datetime(2026, 11, 14, 15, 3, 1, tzinfo=UTC)
    content: dict[str, object] = {
        "number": "R-2026-000123",
        "issued_at": moment,
        "paid_at": moment,
        "issuer": Issuer(name="Gavel & Loom Ltd"),
        "lines": (Line(description="Vase", unit_amount=27550, amount=27550),),
        "total": 27550,
        "currency": "USD",
    }
    return ReceiptData.model_validate({**content, **changes})


def test_these_languages_are_offered() -> None:
    assert languages(VERSION) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_fields(language: str) -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    table = json.loads((TEMPLATES / VERSION / f"{language}.json").read_text())
    english = json.loads((TEMPLATES / VERSION / "en.json").read_text())

    assert table.keys() == english.keys()
    for section, expected in english.items():
        assert table[section].keys() == expected.keys()
        assert all(table[section].values())
        for name, text in expected.items():
            assert fields(table[section][name]) == fields(text), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_numbers_are_in_letters_that_helvetica_has(language: str) -> None:
    for kind in ("receipt", "credit_note", "statement"):
        texts(VERSION, language, kind)["page"].encode("cp1252")


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de", "de"),
        ("de-AT", "de_AT"),
        ("es-419", "es_419"),
        ("en-GB", "en_GB"),
        ("auto", "en"),
        ("zh", "en"),
        ("", "en"),
        ("../de", "en"),
        ("xx-YY", "en"),
    ],
)
def test_a_locale_without_texts_is_printed_in_english(tag: str, expected: str) -> None:
    assert str(locale_for(VERSION, tag)) == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["receipt", "credit_note"])
def test_every_language_renders_both_documents(language: str, kind: Kind) -> None:
    html = render_html(receipt(locale=language, kind=kind, refers_to="R-2026-000100"))

    assert f'lang="{language}"' in html
    assert ('dir="rtl"' in html) == (language == "ar")
    assert "R-2026-000123" in html
    assert "R-2026-000100" in html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stripe_fee", [None, 829])
def test_every_language_renders_the_sellers_statement(language: str, stripe_fee: int | None) -> None:
    statement = Statement(
        maker_id="9d0c52e1-9a0b-4a0d-8ad3-5e4f6f3c1a11",
        platform_fee=2755,
        payout=24795,
        stripe_fee=stripe_fee,
        stripe_fee_currency="EUR" if stripe_fee else None,
    )
    html = render_html(receipt(locale=language, kind="statement", refers_to="R-2026-000100", statement=statement))

    shown = html.replace("<span>", "").replace("</span>", "")
    for minor in (27550, -2755, 24795):
        assert formats.money(minor, "USD", Locale(language)) in shown
    assert (formats.money(829, "EUR", Locale(language)) in shown) == (stripe_fee is not None)
    assert "R-2026-000100" in html
    assert "9d0c52e1-9a0b-4a0d-8ad3-5e4f6f3c1a11" in html


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7*7 }}", "</title><script>"])
def test_texts_of_the_data_are_never_markup(hostile: str) -> None:
    html = render_html(
        receipt(
            lines=(Line(description=hostile, unit_amount=1, amount=1),),
            total=1,
            number=hostile,
            buyer=Buyer(name=hostile, email=hostile, address=(hostile,)),
            issuer=Issuer(name=hostile, address=(hostile,), tax_id=hostile, email=hostile, website=hostile),
            method=Method(brand=hostile, last4=hostile),
        )
    )

    assert "<script" not in html
    assert "<img" not in html
    assert "49" not in html.partition("</style>")[2]


def test_empty_fields_leave_no_label_behind() -> None:
    html = render_html(receipt())

    for label in ("Tax ID", "Payment method", "Paid by", "Questions", "Auction"):
        assert label not in html


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        (Method(brand="visa", last4="4242"), "Visa ending in 4242"),
        (Method(last4="4242"), "Card ending in 4242"),
        (Method(brand="amazon_pay"), "Amazon Pay"),
    ],
)
def test_the_payment_method_is_named_as_people_know_it(method: Method, shown: str) -> None:
    assert shown in render_html(receipt(method=method))


def test_a_template_that_is_not_installed_is_refused_for_good() -> None:
    with pytest.raises(UnknownTemplate, match="1999-01-01"):
        render_html(receipt(template_version="1999-01-01"))
