"""Stripe's endpoints are counted by their path, with placeholders for ids: as many labels as endpoints."""

import pytest

from paywindow.gateway import _template


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/checkout/sessions", "/v1/checkout/sessions"),
        ("/v1/checkout/sessions/cs_test_a1B2c3", "/v1/checkout/sessions/{id}"),
        ("/v1/checkout/sessions/cs_test_a1B2c3/expire", "/v1/checkout/sessions/{id}/expire"),
        ("/v1/payment_intents/pi_3QXyz?expand[]=latest_charge", "/v1/payment_intents/{id}"),
        ("/v1/balance_transactions/txn_1ABC", "/v1/balance_transactions/{id}"),
        ("/v1/account_links", "/v1/account_links"),
        ("/v1/customers/cus_A1/payment_methods/pm_B2", "/v1/customers/{id}/payment_methods/{id}"),
        ("/v2/core/events", "/v2/core/events"),
    ],
)
def test_an_id_becomes_a_placeholder_and_a_name_stays(path: str, endpoint: str) -> None:
    assert _template(f"https://api.stripe.com{path}") == endpoint
