"""Notifications are signed so that another implementation of Standard Webhooks verifies them."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from paywindow.notify import signatures

BODY = '{"type":"payment.completed","data":{"amount":275.50,"currency":"€"}}'.encode()


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries: the vector of the reference implementations
    headers = signatures.headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_replaced_both_verify() -> None:
    old, new = signatures.new_secret(), signatures.new_secret()
    headers = signatures.headers([old, new], "id-1", int(time.time()), BODY)

    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers)["type"] == "payment.completed"
    with pytest.raises(WebhookVerificationError):
        Webhook(signatures.new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("changed", [{"webhook-id": "id-2"}, {"webhook-timestamp": str(int(time.time()) - 1)}])
def test_id_and_time_are_signed(changed: dict[str, str]) -> None:
    secret = signatures.new_secret()
    headers = signatures.headers([secret], "id-1", int(time.time()) + 5, BODY)

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, {**headers, **changed})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "secret",
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_äöü",
        "whsec_not base64, not at all, and long enough",
    ],
)
def test_a_secret_of_another_form_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_ and the base64 of 24 to 64 random bytes") as caught:
        signatures.secret_bytes(text)

    assert len(text) < 8 or text not in str(caught.value)
