"""The OpenAPI document: complete, and true to the routes and models."""

import json
import re
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from paywindow import jsons
from paywindow.front.app import build
from paywindow.front.openapi import document
from paywindow.settings import Settings

SETTINGS = Settings(
    redis_url="redis://127.0.0.1:1/0", public_url="http://127.0.0.1:1", buyer_token_secrets=("token-secret",)
)
#: Routes that are for people or tools, not for callers of the API.
NOT_API = {"/pay/{id}", "/pay/{id}/retry", "/openapi.json", "/static"}

OVERRIDES = {"expire": "Override", "extend": "MoveDeadline", "reopen": "MoveDeadline", "grant-retry": "Override"}


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


def test_the_document_is_valid_openapi() -> None:
    problems = list(OpenAPIV31SpecValidator(json.loads(jsons.dumps(document()))).iter_errors())
    assert problems == []


def test_every_override_is_described_with_its_body_and_its_refusals() -> None:
    for name, model in OVERRIDES.items():
        operation = document()["paths"][f"/payments/checkout/{{id}}/{name}"]["post"]
        assert operation["security"] == [{"serviceKey": []}]
        assert operation["requestBody"]["required"] is True
        assert references(operation["requestBody"]) == {f"#/components/schemas/{model}"}
        assert {"200", "202", "401", "403", "404", "409", "422"} <= set(operation["responses"])
        assert "`already_paid`" in operation["responses"]["409"]["description"]
    assert (
        "`auction_taken`"
        in document()["paths"]["/payments/checkout/{id}/reopen"]["post"]["responses"]["409"]["description"]
    )


def test_a_retry_and_the_window_are_open_to_the_buyer() -> None:
    both = [{"serviceKey": []}, {"buyerToken": []}]
    retry = document()["paths"]["/payments/retry/{id}"]["post"]
    window = document()["paths"]["/payments/checkout/{id}/window"]["get"]
    outcome = document()["paths"]["/payments/operations/{id}"]["get"]
    assert retry["security"] == window["security"] == outcome["security"] == both
    assert retry["requestBody"]["required"] is False
    for code in ("not_failed", "retry_limit_reached", "retry_under_way", "session_expired", "already_paid"):
        assert f"`{code}`" in retry["responses"]["409"]["description"]
    state = document()["components"]["schemas"]["WindowState"]
    assert set(state["required"]) == {"expiresAt", "remainingMs", "serverNow", "closing"}


def test_moments_and_limits_are_described() -> None:
    fields = document()["components"]["schemas"]["MoveDeadline"]["properties"]
    assert fields["until"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert fields["minutes"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 43_200}


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
