"""Which of Stripe's errors mean *no*, and which mean *ask again with the same key*."""

from typing import Any

import pytest
import stripe

from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.gateway import Gateway, _translate


def error(kind: type[stripe.StripeError], status: int | None, **body: Any) -> stripe.StripeError:
    arguments: dict[str, Any] = {"http_status": status, "json_body": {"error": body} if body else None}
    if kind in (stripe.InvalidRequestError, stripe.CardError):
        arguments |= {"param": body.get("param"), "code": body.get("code")}
    return kind(body.get("message", "broken"), **arguments)


@pytest.mark.parametrize(
    "found",
    [
        error(stripe.APIConnectionError, None),
        error(stripe.APIError, 500, message="oops"),
        error(stripe.APIError, 503, message="oops"),
        error(stripe.RateLimitError, 429, code="rate_limit"),
        error(stripe.RateLimitError, 429, code="lock_timeout"),
        error(stripe.APIError, 409, code="idempotency_key_in_use"),
        error(stripe.InvalidRequestError, 400, code="lock_timeout"),
        error(stripe.AuthenticationError, 401, message="Invalid API Key provided"),
    ],
    ids=lambda found: f"{type(found).__name__}-{found.http_status}",
)
def test_an_unknown_outcome_and_a_busy_stripe_are_asked_again(found: stripe.StripeError) -> None:
    assert isinstance(_translate(found), StripeUnavailable)


@pytest.mark.parametrize(
    "found",
    [
        error(stripe.InvalidRequestError, 400, code="amount_too_small", param="line_items[0]"),
        error(stripe.InvalidRequestError, 404, code="resource_missing", param="session"),
        error(stripe.CardError, 402, code="card_declined", param=None),
        error(stripe.PermissionError, 403, message="not allowed"),
        error(stripe.IdempotencyError, 400, type="idempotency_error"),
    ],
    ids=lambda found: f"{type(found).__name__}-{found.http_status}",
)
def test_a_clear_no_is_not_asked_again(found: stripe.StripeError) -> None:
    translated = _translate(found)

    assert isinstance(translated, StripeRefused)
    assert translated.status == found.http_status


def test_a_refusal_carries_stripes_own_code_and_parameter() -> None:
    refusal = _translate(error(stripe.InvalidRequestError, 400, code="amount_too_small", param="line_items[0]"))

    assert isinstance(refusal, StripeRefused)
    assert (refusal.code, refusal.param) == ("amount_too_small", "line_items[0]")


@pytest.mark.parametrize(
    ("key", "live"), [("sk_test_1", False), ("rk_test_1", False), ("sk_live_1", True), ("rk_live_1", True)]
)
def test_the_key_says_whether_money_is_real(key: str, live: bool) -> None:
    assert Gateway(key, "http://127.0.0.1:1", 1).livemode is live


def test_telemetry_is_off() -> None:
    assert stripe.enable_telemetry is False
