"""The words of the buyer's page: every language has all of them, and a buyer gets the language that fits."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from paywindow.actors import answers
from paywindow.front import declines, phases
from paywindow.front.texts import choose_locale, languages, texts
from paywindow.receipts import texts as receipt_texts
from paywindow.settings import Settings

_SECTIONS = ("titles", "explanations", "failures", "page", "script", "problems")


def flattened(language: str) -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        for key, text in texts(language).section(section).items():
            parts = text if isinstance(text, list) else [text]
            for number, part in enumerate(parts):
                yield f"{section}.{key}.{number}", part


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w*)\}", text))


def test_the_page_speaks_the_languages_of_the_receipts() -> None:
    version = Settings.model_fields["receipt_template_version"].default
    assert languages() == receipt_texts.languages(version)


@pytest.mark.parametrize("language", sorted(languages() - {"en"}))
def test_every_language_has_all_texts_with_the_same_places_in_them(language: str) -> None:
    english, other = dict(flattened("en")), dict(flattened(language))
    assert other.keys() == english.keys()
    assert {key: places(text) for key, text in other.items()} == {key: places(text) for key, text in english.items()}
    # Nothing was left in English.
    assert [key for key, text in other.items() if text == english[key]] == []


@pytest.mark.parametrize("phase", phases.PHASES)
def test_every_phase_has_a_headline_and_an_explanation(phase: str) -> None:
    words = texts("en")
    assert words.has("titles", phase)
    for key in ("failed_page", "failed_retry", "failed_over") if phase == "failed" else (phase,):
        assert words.has("explanations", key)


@pytest.mark.parametrize(
    ("session", "header", "expected"),
    [
        ("de", "fr", "de"),
        ("de-AT", "", "de_AT"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8", "fr_CH"),
        ("auto", "es", "es"),
        ("pt-BR", "ja", "ja"),  # a language that we lack: the browser's
        (None, "en;q=0.2, de;q=0.9", "de"),
        (None, "pt, ko;q=0.9, ar;q=0.1", "ar"),
        (None, "de;q=0, en", "en"),
        (None, "*", "en"),
        (None, "", "en"),
        (None, "de;q=high, ;;;, -, x" + "," * 10_000 + "fr", "en"),
    ],
)
def test_the_sessions_language_comes_first_then_the_browsers_then_english(
    session: str | None, header: str, expected: str
) -> None:
    assert str(choose_locale(session, header)) == expected


def test_what_is_put_into_a_text_is_escaped() -> None:
    assert texts("en")("page", "pay", amount="<b>") == "Pay &lt;b&gt;"


def failed(code: str | None, *attempts: str) -> dict[str, Any]:
    return {"paymentSession": {"failure": {"code": code}}, "attempts": [{"status": each} for each in attempts]}


def test_every_reason_that_the_workers_tell_apart_has_words_of_its_own() -> None:
    for code, message in answers._DECLINES.items():
        reason, advice = texts("en").section("failures")[declines.words_for_failure(failed(code))]
        assert f"{reason} {advice}" == message
    for code, message in (
        ("generic_decline", answers._DECLINED),
        ("payment_did_not_come", answers.PAYMENT_DID_NOT_COME),
    ):
        assert " ".join(texts("en").section("failures")[declines.words_for_failure(failed(code))]) == message


@pytest.mark.parametrize("code", ["lost_card", "stolen_card", "fraudulent", "titles", "", None])
def test_of_a_card_reported_lost_or_stolen_it_only_says_declined(code: str | None) -> None:
    assert declines.words_for_failure(failed(code, "open")) == "declined"


def test_a_page_that_stripe_refused_to_open_is_not_blamed_on_a_card() -> None:
    found = declines.words_for_failure(failed("parameter_invalid", "closed", "refused"))
    assert found == "not_possible"
    assert " ".join(texts("en").section("failures")[found]) == answers.NOT_POSSIBLE
