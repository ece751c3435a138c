"""The OpenAPI document: complete, and true to the routes and models."""

import re
from typing import Any

from paywindow import jsons
from paywindow.front.app import build
from paywindow.front.openapi import document
from paywindow.settings import Settings

SETTINGS = Settings(
    redis_url="redis://127.0.0.1:1/0", public_url="http://127.0.0.1:1", buyer_token_secrets=("token-secret",)
)
#: Routes that are for people or tools, not for callers of the API.
NOT_API = {"/pay/{id}", "/openapi.json", "/static"}


def references(value: Any) -> set[str]:
    return set(re.findall(r'"\$ref":"([^"]+)"', jsons.dumps(value)))


def test_every_route_of_the_api_is_described_and_nothing_else() -> None:
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in build(SETTINGS).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method, path) for path, methods in document()["paths"].items() for method in methods}
    assert described == {(method, path) for method, path in routes if path not in NOT_API}


def test_every_reference_leads_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    assert references(document()) <= {f"#/components/schemas/{name}" for name in schemas}


def test_money_is_a_number_and_fields_are_in_camel_case() -> None:
    request = document()["components"]["schemas"]["CreateCheckout"]
    assert request["properties"]["amount"]["type"] == "number"
    assert request["required"] == ["auctionId", "buyerId", "currency", "amount"]
    assert request["additionalProperties"] is False
    session = document()["components"]["schemas"]["PaymentSession"]["properties"]
    assert session["amount"]["type"] == "number"
    assert "stripeCheckoutUrl" in session


def test_commands_and_reads_demand_a_key_and_only_webhooks_and_health_do_not() -> None:
    open_paths = {
        path for path, methods in document()["paths"].items() for each in methods.values() if not each["security"]
    }
    assert open_paths == {"/payments/webhooks/stripe", "/healthz", "/readyz"}


def test_every_operation_names_the_problems_it_may_answer() -> None:
    create = document()["paths"]["/payments/checkout/create"]["post"]["responses"]
    assert {"201", "200", "202", "400", "401", "403", "409", "413", "415", "422", "503"} <= set(create)
    assert "`auction_taken`" in create["409"]["description"]
