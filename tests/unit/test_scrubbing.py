"""Nothing private gets through the scrubber, nothing else is lost in it, and no text takes it long."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paywindow import card_numbers, scrubbing
from paywindow.keys import BuyerTokens, new_service_key
from paywindow.receipts.local_url import signed_local_url
from paywindow.sandbox.cards import TEST_CARDS
from paywindow.scrubbing import scrub, scrubbed
from paywindow.settings import Settings

SESSION = uuid.UUID("0b2d7c1e-2a64-4d3b-9a55-0c6c0d8a1f01")
SERVICE_KEY = new_service_key()
TOKEN = BuyerTokens(["a secret of the tests"]).issue(SESSION)
LINK = signed_local_url("https://pay.example", "s", "2026/R-1.pdf", filename="R-1.pdf", expires_in=60)

PRIVATE = {
    "a service key": (f"key {SERVICE_KEY}!", SERVICE_KEY),
    "a key in a header": (f"Authorization: Bearer {SERVICE_KEY}", SERVICE_KEY),
    "any bearer": ("headers {'authorization': 'bearer abc.def-ghi'}", "abc.def-ghi"),
    "basic authentication": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "Stripe's secret key": ("Invalid API Key: sk_test_51Habc", "51Habc"),
    "Stripe's restricted key": ("rk_live_51Habc", "51Habc"),
    "a webhook secret": ("whsec_a1/b+c=", "a1/b+c"),
    "a buyer's token": (f"GET /pay/{SESSION}?token={TOKEN}", TOKEN.partition(".")[2]),
    "a buyer's token alone": (f"token {TOKEN} refused", TOKEN.partition(".")[2]),
    "a client secret": ("pi_3abc_secret_XyZ123abc", "XyZ123abc"),
    "the signature of a link": (LINK, LINK.partition("signature=")[2]),
    "a link to S3": ("https://b.s3.example/k?X-Amz-Credential=AK%2Fx&X-Amz-Signature=0f0f", "0f0f"),
    "a password of Redis": ("Error connecting to redis://:hunter2@redis:6379/0", "hunter2"),
    "a password of Postgres": ("postgresql://paywindow:p%40ss@db/paywindow", "p%40ss"),
    "a password by name": ("connection failed: password=hunter2 host=db", "hunter2"),
    "an e-mail address": ("sent to Ada.Winner+tag@mail.example.com.", "Ada.Winner"),
    "an e-mail address in a URL": ("?email=ada%40example.com", "ada%40example"),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----", "IBAAK"),
    "a row that Postgres shows": ("DETAIL:  Failing row contains (1, Ada Winner, null).", "Ada Winner"),
    "a statement that Postgres shows": ("error\nLINE 1: INSERT INTO t VALUES ('Ada')\n ^", "Ada"),
}

ORDINARY = [
    f"GET /payments/checkout/{SESSION}/status 200 1.2ms",
    "12345678-1234-4123-8123-123456789012",
    "checkout.session.completed: pending -> completed",
    "R-2026-000001 drawn in 120 ms, 48213 bytes",
    "evt_1QxYz took 1732365545123 to 1732365545999",
    "https://checkout.stripe.com/c/pay/cs_test_a1b2c3 expired at 2026-11-23T10:00:00Z",
    "rate limited: 25/s, retry in 3 s (request req_abc123)",
]


@pytest.fixture(autouse=True)
def _knowing_nothing() -> Iterator[None]:
    scrubbing.know([])
    yield
    scrubbing.know([])


@pytest.mark.parametrize("what", PRIVATE)
def test_what_is_private_does_not_get_through(what: str) -> None:
    text, private = PRIVATE[what]

    assert private not in scrub(text)
    assert scrub(text) != ""


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert scrub(text) == text


def _written(number: str) -> list[str]:
    fours = [number[at : at + 4] for at in range(0, len(number), 4)]
    return [number, " ".join(fours), "-".join(fours), "\u00a0".join(fours)]


@pytest.mark.parametrize("number", TEST_CARDS)
@pytest.mark.parametrize("around", ["{}", "card {} 12/34 123", 'x="{}"', "n{}x", "charge({},", "{} {}"])
def test_every_test_card_is_hidden_however_it_is_written(number: str, around: str) -> None:
    for written in _written(number):
        assert written not in scrub(around.replace("{}", written))


@given(st.text(), st.sampled_from(sorted(TEST_CARDS)), st.text())
def test_no_surrounding_text_lets_a_card_through(before: str, number: str, after: str) -> None:
    # A digit next to it makes it another number.
    if before[-1:].isdigit() or after[:1].isdigit():
        return
    assert number not in scrub(f"{before}{number}{after}")


PIECES = [
    *(text for text, _ in PRIVATE.values()),
    *ORDINARY,
    *TEST_CARDS,
    "PASSWD: x",
    "passwd=x",
    "Cvc: 123",
    "card_number=4",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8))).map("".join))
def test_what_is_passed_over_for_want_of_hints_would_not_have_been_changed(text: str) -> None:
    if not scrubbing._may_hold_any(text):
        assert scrubbing._pattern.sub(scrubbing._replace, text) == text


@pytest.mark.parametrize("piece", PIECES, ids=range(len(PIECES)))  # some are new in every process
@given(st.data())
def test_every_cut_of_a_private_text_that_is_still_private_has_a_hint(piece: str, data: st.DataObject) -> None:
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(piece))] * 2)))
    cut = piece[begin:end].swapcase() if data.draw(st.booleans()) else piece[begin:end]
    if scrubbing._pattern.sub(scrubbing._replace, cut) != cut:
        assert scrubbing._may_hold_any(cut)


@given(st.from_regex(r"[1-9][0-9]{11,18}", fullmatch=True))
def test_the_check_digit_is_luhns(digits: str) -> None:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    valid = sum(sum(map(int, str(each))) for each in doubled) % 10 == 0

    assert not card_numbers.is_card_number(digits) or valid


def test_configured_secrets_are_hidden_whatever_they_look_like() -> None:
    settings = Settings(
        redis_url="redis://:swordfish9@host/0",
        buyer_token_secrets="plain words here,second-one",
        receipt_url_secret="short",
    )
    scrubbing.know(settings.secrets())

    hidden = scrub("auth swordfish9 failed; plain words here; second-one; short")

    assert hidden == "auth [configured] failed; [configured]; [configured]; short"


def test_values_inside_structures_are_scrubbed_and_private_fields_hidden() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    value = {"a": ["ada@example.com", 4242424242424242, 7, None, at], "CVC": "123", "b": {"email": "x"}, "c": SESSION}

    assert scrubbed(value) == {
        "a": ["[email]", "[card]", 7, None, at],
        "CVC": "[hidden]",
        "b": {"email": "[hidden]"},
        "c": str(SESSION),
    }


@pytest.mark.parametrize("unit", ["a", "1 ", "a@", "4", "_", "://", "%40", "secret_", "0123456789abcdef", "?token="])
def test_a_huge_text_is_cut_before_it_is_searched(unit: str) -> None:
    text = scrub(unit * 1_000_000)

    assert len(text) < 2 * scrubbing.LONGEST_TEXT
    assert text.endswith("more characters]")
