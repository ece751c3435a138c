"""Money, clock, keys, limits, signatures: the sandbox's small rules."""

from pathlib import Path

import pytest
import stripe

from paywindow.sandbox.authentication import api_key
from paywindow.sandbox.cards import TEST_CARDS, find_card
from paywindow.sandbox.clock import Clock
from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.events import type_matches
from paywindow.sandbox.faults import Fault, FaultQueue
from paywindow.sandbox.idempotency import KEPT_SECONDS, Answer, IdempotencyKeys
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.metadata import merged_metadata
from paywindow.sandbox.modes import DeliveryMode, Mode
from paywindow.sandbox.money import SUPPORTED, display, exponent, fee
from paywindow.sandbox.page_form import FormError, read_buyer, read_method
from paywindow.sandbox.ratelimit import RateLimiter
from paywindow.sandbox.signature import signature_header

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(27_550, "usd", "275.50 USD"), (5, "usd", "0.05 USD"), (500, "jpy", "500 JPY"), (12_340, "kwd", "12.340 KWD")],
)
def test_amounts_are_shown_in_their_currency(amount: int, currency: str, text: str) -> None:
    assert display(amount, currency) == text


def test_ugx_and_isk_are_sent_times_a_hundred() -> None:
    assert (exponent("ugx"), exponent("isk"), exponent("jpy"), exponent("huf")) == (2, 2, 0, 2)
    assert len(SUPPORTED) > 130


@pytest.mark.parametrize(("amount", "expected"), [(27_550, 829), (50, 31), (10_000, 320), (1_017, 59)])
def test_the_fee_is_a_share_rounded_half_up_plus_a_fixed_part(amount: int, expected: int) -> None:
    assert fee(amount, 290, 30) == expected


def test_the_clock_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = Clock(file)
    assert clock.offset() == 0
    file.write_text("3600.5\n")
    assert clock.offset() == 3600.5
    file.write_text("")
    assert clock.offset() == 3600.5
    file.write_text("soon")
    with pytest.raises(ValueError, match="soon"):
        clock.offset()
    assert Clock().offset() == 0


def test_a_key_is_claimed_replayed_and_forgotten_after_a_day() -> None:
    keys = IdempotencyKeys()
    same, other = ("/v1/x", "{}"), ("/v1/x", '{"a": "1"}')
    answer = Answer(200, b"{}", "req_1")
    assert keys.begin("k", same, NOW) is None
    with pytest.raises(StripeError) as in_flight:
        keys.begin("k", same, NOW)
    assert (in_flight.value.status, in_flight.value.code) == (409, "idempotency_key_in_use")
    keys.finish("k", answer)
    assert keys.begin("k", same, NOW + KEPT_SECONDS - 1) is answer
    with pytest.raises(StripeError) as changed:
        keys.begin("k", other, NOW)
    assert (changed.value.status, changed.value.kind) == (400, "idempotency_error")
    assert keys.begin("k", other, NOW + KEPT_SECONDS) is None
    keys.abandon("k")
    assert keys.begin("k", same, NOW) is None
    with pytest.raises(StripeError):
        keys.begin("k" * 256, same, NOW)


def test_a_bucket_refills_with_time() -> None:
    now = [0.0]
    limiter = RateLimiter(2.0, clock=lambda: now[0])
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(StripeError) as refused:
        limiter.take("a")
    assert refused.value.headers == {"Stripe-Rate-Limited-Reason": "global-rate"}
    limiter.take("b")
    now[0] += 0.5
    limiter.take("a")


def test_signatures_verify_with_each_secret() -> None:
    header = signature_header(b'{"id": 1}', ["whsec_a", "whsec_b"], NOW)
    for secret in ("whsec_a", "whsec_b"):
        assert stripe.WebhookSignature.verify_header('{"id": 1}', header, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header('{"id": 1}', header, "whsec_c")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Bearer ", 401), ("Basic sk_test_a", 401), ("Bearer sk_live_a", 401), ("Bearer pk_test_a", 401)],
)
def test_only_test_keys_get_in(authorization: str | None, status: int) -> None:
    with pytest.raises(StripeError) as refused:
        api_key(authorization)
    assert refused.value.status == status
    assert api_key("Bearer sk_test_a") == "sk_test_a"


def test_event_types_match_names_and_wildcards() -> None:
    assert type_matches("charge.updated", ["charge.*"])
    assert type_matches("charge.updated", ["a", "*"])
    assert type_matches("charge.updated", ["charge.updated"])
    assert not type_matches("charge.updated", ["charge.failed", "payment_intent.*"])


def test_metadata_merge_and_unset() -> None:
    assert merged_metadata({"a": "1", "b": "2"}, {"b": "", "c": "3"}) == {"a": "1", "c": "3"}
    assert merged_metadata({"a": "1"}, "") == {}


def test_faults_are_used_up_in_order_by_what_they_match() -> None:
    faults = FaultQueue(
        [
            Fault.from_json({"kind": "500", "method": "POST", "path_suffix": "/expire"}),
            Fault.from_json({"kind": "slow", "times": 2, "skip": 1}),
        ]
    )
    taken = [faults.take(*request) for request in (("GET", "/v1/a"), ("POST", "/v1/a/expire"), ("GET", "/v1/a"))]
    assert [fault.kind if fault else None for fault in taken] == [None, "500", "slow"]
    assert len(faults.waiting) == 1


@pytest.mark.parametrize(
    "body", [{}, {"kind": "flood"}, {"kind": "500", "colour": "red"}, {"kind": "500", "times": "x"}]
)
def test_faults_that_make_no_sense_are_refused(body: dict[str, str]) -> None:
    with pytest.raises(StripeError):
        Fault.from_json(body)


def test_delivery_modes_apply_to_their_types() -> None:
    mode = DeliveryMode.from_json({"mode": "drop", "types": ["charge.*"]})
    assert mode.applies_to({"type": "charge.failed"}) is Mode.DROP
    assert mode.applies_to({"type": "payout.paid"}) is Mode.NORMAL
    with pytest.raises(StripeError):
        DeliveryMode.from_json({"mode": "chaos"})


def test_every_test_card_passes_the_luhn_check() -> None:
    for number in TEST_CARDS:
        doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(number))]
        assert sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def test_cards_are_found_by_what_buyers_type() -> None:
    assert find_card("4242 4242-4242 4242") is TEST_CARDS["4242424242424242"]
    assert find_card("4242") is None


def test_page_fields_are_read_or_explained() -> None:
    method = read_method({"card_number": "4242424242424242", "expiry": "1/2041", "cvc": "123"}, NOW)
    assert (method.type, method) == (
        "card",
        read_method({"card_number": "4242424242424242", "expiry": "01 41", "cvc": "1234"}, NOW),
    )
    with pytest.raises(FormError) as refused:
        read_method({}, NOW)
    assert refused.value.problems.keys() == {"card_number", "expiry", "cvc"}
    assert read_buyer({"email": ""}, "a@example.com").email == "a@example.com"


def test_ids_look_like_stripes() -> None:
    assert new_id("cs_test_a1").startswith("cs_test_a1")
    assert len(new_id("cs_test_a1")) == 68
    assert new_id("pi_3")[:4] == "pi_3"
    assert new_id("evt")[:4] == "evt_"
