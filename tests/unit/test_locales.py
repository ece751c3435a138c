"""Language tags in their usual spelling, and the nearest language of Checkout."""

import pytest

from paywindow.locales import InvalidLocale, for_checkout, normalised


@pytest.mark.parametrize(
    ("tag", "usual"),
    [
        ("de", "de"),
        ("pt_br", "pt-BR"),
        ("EN-gb", "en-GB"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("AUTO", "auto"),
    ],
)
def test_a_tag_gets_its_usual_spelling(tag: str, usual: str) -> None:
    assert normalised(tag) == usual


@pytest.mark.parametrize(
    "tag", ["", "d", "english", "de-", "de--AT", "de AT", "de\n", "dé", "ſk", "de-AT-1996", "../de"]
)
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InvalidLocale):
        normalised(tag)


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("pt-BR", "pt-BR"),
        ("zh-Hant-TW", "zh-TW"),
        ("uk-UA", "auto"),
        ("auto", "auto"),
        (None, "auto"),
    ],
)
def test_checkout_gets_the_nearest_language_it_speaks(tag: str | None, spoken: str) -> None:
    assert for_checkout(tag) == spoken
