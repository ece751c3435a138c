"""Validating requests: each rule of each field, all broken rules at once, and what becomes of a good request."""

from typing import Any

import pytest

from paywindow import jsons
from paywindow.errors import Problem
from paywindow.front import requests
from paywindow.front.urls import AllowList
from paywindow.messages import CheckoutRequest
from paywindow.settings import Settings

AUCTION = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f01"
BUYER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f02"
MAKER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f03"

SETTINGS = Settings(
    public_url="https://pay.example",
    checkout_url_allow_list=("https://shop.example",),
    payment_window_minutes=720,
    payment_late_policy="hold",
)
ALLOWED = AllowList.of(SETTINGS)
GOOD = {"auctionId": AUCTION, "buyerId": BUYER, "amount": 275, "currency": "USD"}


def parse(text: str) -> CheckoutRequest:
    return requests.create_checkout(jsons.loads(text), ALLOWED).command(SETTINGS)


def create(**changes: Any) -> CheckoutRequest:
    return parse(jsons.dumps({**GOOD, **changes}))


def broken(document: Any) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        requests.create_checkout(document, ALLOWED)
    assert caught.value.code == "invalid_request"
    return {each["field"]: each["rule"] for each in caught.value.extra["errors"]}


def test_the_least_request_gets_the_configured_defaults() -> None:
    assert create() == CheckoutRequest(
        auction_id=AUCTION,
        buyer_id=BUYER,
        amount_minor=27500,
        currency="USD",
        late_policy="hold",
        window_minutes=720,
    )


def test_a_full_request_is_normalised() -> None:
    request = create(
        makerId=MAKER,
        platformFee=12,
        description="Walnut side table 🪑",
        buyerEmail="a.buyer+wins@mail.example",
        locale="pt_br",
        latePolicy="accept",
        windowMinutes=30,
        returnUrl="https://shop.example/back?s={CHECKOUT_SESSION_ID}",
        cancelUrl="https://pay.example/pay/x",
    )
    assert request.platform_fee_minor == 1200
    assert (request.locale, request.late_policy, request.window_minutes) == ("pt-BR", "accept", 30)
    assert request.return_url == "https://shop.example/back?s={CHECKOUT_SESSION_ID}"


def test_an_optional_field_that_is_null_is_as_if_left_out() -> None:
    assert create(makerId=None, platformFee=None, locale=None, windowMinutes=None, returnUrl=None) == create()


@pytest.mark.parametrize("amount", ["275.5", "275.50", "275.5000", "2.755e2"])
def test_the_same_amount_is_the_same_request_however_it_is_written(amount: str) -> None:
    text = jsons.dumps(GOOD).replace("275", amount)
    assert parse(text).amount_minor == 27550


@pytest.mark.parametrize(
    ("amount", "currency", "rule"),
    [
        ("0", "USD", "must be greater than zero"),
        ("-1", "USD", "must be greater than zero"),
        ("-0.0", "USD", "must be greater than zero"),
        ("0.49", "USD", "must be at least 0.50 USD, Stripe's minimum charge"),
        ("1.001", "USD", "must not have more than 2 decimals in USD"),
        ("1e-400", "USD", "must not have more than 2 decimals in USD"),
        ("100.5", "JPY", "must not have more than 0 decimals in JPY"),
        ("49", "JPY", "must be at least 50 JPY, Stripe's minimum charge"),
        ("1.005", "KWD", "must not have more than 2 decimals in KWD"),
        ("10000000000.00", "USD", "must not exceed 12 digits in the smallest unit of USD"),
        ("1e300", "USD", "must not exceed 12 digits in the smallest unit of USD"),
        ("1e999999", "USD", "must not exceed 12 digits in the smallest unit of USD"),
        ('"275.50"', "USD", "must be a JSON number"),
        ("true", "USD", "must be a JSON number"),
        ("null", "USD", "must be a JSON number"),
        ("[275]", "USD", "must be a JSON number"),
    ],
)
def test_an_amount_that_cannot_be_charged_names_its_rule(amount: str, currency: str, rule: str) -> None:
    text = jsons.dumps({**GOOD, "currency": currency}).replace("275", amount)
    assert broken(jsons.loads(text)) == {"amount": rule}


def test_twelve_digits_are_enough() -> None:
    text = jsons.dumps({**GOOD, "currency": "IDR"}).replace("275", "9999999999.99")
    assert parse(text).amount_minor == 999_999_999_999


@pytest.mark.parametrize("currency", ["usd", "US", "USDX", "XXX", "", "U\u202eD", "USD\n"])
def test_a_currency_is_an_upper_case_code_that_stripe_charges(currency: str) -> None:
    assert set(broken({**GOOD, "currency": currency})) == {"currency"}


@pytest.mark.parametrize(
    "value",
    [
        AUCTION.upper(),
        AUCTION.replace("-", ""),
        "{" + AUCTION + "}",
        "urn:uuid:" + AUCTION,
        AUCTION + "\n",
        AUCTION[:-1],
        "",
        "auction-17",
        17,
        None,
    ],
)
def test_ids_are_canonical_uuids(value: Any) -> None:
    assert set(broken({**GOOD, "auctionId": value})) == {"auctionId"}
    if value is not None:
        assert set(broken({**GOOD, "makerId": value})) == {"makerId"}


@pytest.mark.parametrize(
    ("fee", "rule"),
    [(-1, "must not be negative"), (276, "must not exceed the amount"), ("1", "must be a JSON number")],
)
def test_the_platform_fee_lies_between_nothing_and_the_amount(fee: Any, rule: str) -> None:
    assert broken({**GOOD, "platformFee": fee}) == {"platformFee": rule}
    assert create(platformFee=0).platform_fee_minor == 0
    assert create(platformFee=275).platform_fee_minor == 27500


@pytest.mark.parametrize(
    "description", ["", "   ", "x" * 251, "a\x00b", "a\nb", "a\x7f", "a\u2028b", "a\ud800", "gpj.\u202eexe", 5]
)
def test_a_description_is_short_printable_text(description: Any) -> None:
    assert set(broken({**GOOD, "description": description})) == {"description"}


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "a@b",
        "a@@b.example",
        "a b@c.example",
        "a@b..example",
        "a@-b.example",
        "a@b.example\n",
        "x" * 250 + "@b.example",
        "é@b.example",
    ],
)
def test_an_email_address_is_plausible(email: str) -> None:
    assert set(broken({**GOOD, "buyerEmail": email})) == {"buyerEmail"}


@pytest.mark.parametrize("field", ["returnUrl", "cancelUrl"])
@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://shop.example/", "https://shop.example@evil.example", 7]
)
def test_a_foreign_return_url_is_refused(field: str, url: Any) -> None:
    assert set(broken({**GOOD, field: url})) == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("windowMinutes", 0),
        ("windowMinutes", 43_201),
        ("windowMinutes", "60"),
        ("windowMinutes", True),
        ("latePolicy", "keep"),
        ("locale", "english"),
        ("auction_id", AUCTION),
        ("metadata", {}),
    ],
)
def test_other_values_and_unknown_fields_are_refused(field: str, value: Any) -> None:
    assert set(broken({**GOOD, field: value})) == {field}


def test_all_broken_rules_are_reported_at_once() -> None:
    rules = broken(
        {
            "auctionId": "x",
            "currency": "EUR",
            "amount": 0,
            "platformFee": -1,
            "returnUrl": "https://evil.example",
            "locale": "?",
            "windowMinutes": 0,
            "colour": "red",
        }
    )
    assert list(rules) == [
        "auctionId",
        "buyerId",
        "amount",
        "platformFee",
        "locale",
        "returnUrl",
        "windowMinutes",
        "colour",
    ]
    assert rules["buyerId"] == "is required"
    assert rules["colour"] == "is not a known field"
    assert rules["windowMinutes"] == "must be at least 1"


def test_no_rule_repeats_the_value_that_broke_it() -> None:
    rules = broken({**GOOD, "buyerEmail": "sesame sesame", "latePolicy": "sesame", "locale": "sesame"})
    assert len(rules) == 3
    assert "sesame" not in str(rules)


@pytest.mark.parametrize("document", [[], "text", 5, None, True])
def test_a_body_that_is_no_object_is_refused(document: Any) -> None:
    assert broken(document) == {"": "must be a JSON object"}


def test_a_reason_for_canceling_may_be_left_out_and_has_rules() -> None:
    assert requests.cancel_checkout({}).reason is None
    assert requests.cancel_checkout({"reason": "unsold"}).reason == "unsold"
    with pytest.raises(Problem):
        requests.cancel_checkout({"reason": "a\x00"})
    with pytest.raises(Problem):
        requests.cancel_checkout({"why": "unsold"})


@pytest.mark.parametrize("minutes", [1, 29, 30, 1440, 1441, 43_200])
def test_a_window_lasts_from_a_minute_to_thirty_days(minutes: int) -> None:
    assert create(windowMinutes=minutes).window_minutes == minutes


def broken_move(**body: Any) -> dict[str, str]:
    with pytest.raises(Problem) as caught:
        requests.move_deadline(body)
    assert caught.value.code == "invalid_request"
    assert all(each["field"] and each["field"] in caught.value.detail for each in caught.value.extra["errors"])
    return {each["field"]: each["rule"] for each in caught.value.extra["errors"]}


def test_a_deadline_is_moved_by_minutes_or_until_a_moment() -> None:
    by_minutes = requests.move_deadline({"reason": "bank holiday", "minutes": 90})
    assert by_minutes.command() == {"reason": "bank holiday", "minutes": 90, "until": None}
    until = requests.move_deadline({"reason": "bank holiday", "until": "2026-11-24T12:30:00+02:00", "minutes": None})
    assert until.command() == {"reason": "bank holiday", "minutes": None, "until": "2026-11-24T10:30:00+00:00"}


def test_a_deadline_cannot_be_moved_both_ways_or_not_at_all() -> None:
    assert broken_move(reason="x") == {"until": "is required, unless minutes is given"}
    both = broken_move(reason="x", minutes=5, until="2026-11-24T10:30:00Z")
    assert both == {"until": "must be left out when minutes is given: only one of the two can be the deadline"}


def test_a_move_reports_all_its_broken_rules_at_once() -> None:
    assert set(broken_move(minutes=5, until="2026-11-24T10:30:00Z")) == {"reason", "until"}
    assert set(broken_move(minutes=0, until="tomorrow", why="x")) == {"reason", "minutes", "until", "why"}
    assert set(broken_move(reason="x", minutes=0)) == {"minutes"}
    assert set(broken_move(reason="x", until="tomorrow")) == {"until"}


@pytest.mark.parametrize("minutes", [0, -5, 43_201, 1.5, "60", True])
def test_a_deadline_moves_by_a_minute_to_thirty_days(minutes: Any) -> None:
    assert set(broken_move(reason="x", minutes=minutes)) == {"minutes"}


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-24T10:30:00",
        "2026-11-24",
        "2026-11-24 10:30:00Z",
        "2026-11-24T10:30Z",
        "20261124T103000Z",
        "2026-W48-2T10:30:00Z",
        "2026-02-30T10:30:00Z",
        "2026-11-24T25:30:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-24T10:30:00Z\n",
        "٢٠٢٦-11-24T10:30:00Z",
        "tomorrow",
        "",
        1_800_000_000,
        True,
    ],
)
def test_a_moment_is_rfc_3339_with_a_time_zone(moment: Any) -> None:
    assert set(broken_move(reason="x", until=moment)) == {"until"}


@pytest.mark.parametrize("moment", ["2026-11-24T10:30:00Z", "2026-11-24t10:30:00.000z", "2026-11-24T16:00:00+05:30"])
def test_the_same_moment_is_the_same_request_however_it_is_written(moment: str) -> None:
    assert requests.move_deadline({"reason": "x", "until": moment}).until == "2026-11-24T10:30:00+00:00"


@pytest.mark.parametrize("reason", [None, "", "  ", "x" * 251, "a\x00", 5])
def test_an_admin_must_say_why(reason: Any) -> None:
    for validate in (requests.override, requests.move_deadline):
        with pytest.raises(Problem) as caught:
            validate({"reason": reason, "minutes": 5} if validate is requests.move_deadline else {"reason": reason})
        assert [each["field"] for each in caught.value.extra["errors"]] == ["reason"]


def test_a_retry_needs_no_reason() -> None:
    assert requests.retry_payment({}).reason is None
    assert requests.retry_payment({"reason": "asked by phone"}).reason == "asked by phone"
    with pytest.raises(Problem):
        requests.retry_payment({"minutes": 5})


@pytest.mark.parametrize("text", ["x", AUCTION.upper(), AUCTION + "\n", AUCTION + "/..", ""])
def test_a_path_without_a_canonical_uuid_leads_nowhere(text: str) -> None:
    with pytest.raises(Problem) as caught:
        requests.path_id(text)
    assert caught.value.code == "not_found"
