"""The OpenAPI document: complete, and true to the routes and models."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from paywindow import jsons
from paywindow.errors import PROBLEMS
from paywindow.front import openapi_examples, requests
from paywindow.front.app import build
from paywindow.front.openapi import document
from paywindow.front.urls import AllowList
from paywindow.settings import Settings

SETTINGS = Settings(
    redis_url="redis://127.0.0.1:1/0", public_url="http://127.0.0.1:1", buyer_token_secrets=("token-secret",)
)
#: Routes that are for people or tools, not for callers of the API.
NOT_API = {"/pay/{id}", "/pay/{id}/retry", "/openapi.json", "/docs", "/static"}

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
        assert operation["security"] == [{"serviceKey": ["admin"]}]
        assert operation["requestBody"]["required"] is True
        assert references(operation["requestBody"]) == {f"#/components/schemas/{model}"}
        assert {"200", "202", "401", "403", "404", "409", "422"} <= set(operation["responses"])
        assert "`already_paid`" in operation["responses"]["409"]["description"]
    assert (
        "`auction_taken`"
        in document()["paths"]["/payments/checkout/{id}/reopen"]["post"]["responses"]["409"]["description"]
    )


def test_a_retry_and_the_window_are_open_to_the_buyer() -> None:
    retry = document()["paths"]["/payments/retry/{id}"]["post"]
    window = document()["paths"]["/payments/checkout/{id}/window"]["get"]
    outcome = document()["paths"]["/payments/operations/{id}"]["get"]
    assert retry["security"] == [{"serviceKey": ["checkout"]}, {"buyerToken": []}]
    assert window["security"] == [{"serviceKey": ["read"]}, {"buyerToken": []}]
    assert {"buyerToken": []} in outcome["security"]
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


def operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize("name, operation", operations(), ids=lambda each: each if isinstance(each, str) else "")
def test_every_route_has_a_description_an_example_of_all_that_it_takes_and_answers_and_its_problems(
    name: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert all("example" in parameter for parameter in operation["parameters"])
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        assert content.get("examples") or "example" in content, name
    if operation["security"]:
        codes = {code for answer in operation["responses"].values() for code in problem_codes(answer)}
        assert {"unauthenticated", "forbidden", "internal_error", "unavailable"} <= codes


def problem_codes(answer: dict[str, Any]) -> set[str]:
    return set(answer.get("content", {}).get("application/problem+json", {}).get("examples", {}))


@pytest.mark.parametrize("name, operation", operations(), ids=lambda each: each if isinstance(each, str) else "")
def test_every_example_fits_its_schema(name: str, operation: dict[str, Any]) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        values = [each["value"] for each in content.get("examples", {}).values()] or [content["example"]]
        for value in values:
            check(value, content["schema"])
    for parameter in operation["parameters"]:
        check(parameter["example"], parameter["schema"])


def check(value: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


def taking_a_body() -> list[tuple[str, dict[str, Any]]]:
    """The operations whose requests have a JSON document."""
    return [each for each in operations() if "application/json" in each[1].get("requestBody", {}).get("content", {})]


@pytest.mark.parametrize("name, operation", taking_a_body(), ids=lambda each: each if isinstance(each, str) else "")
def test_every_example_of_a_request_is_accepted(name: str, operation: dict[str, Any]) -> None:
    content = operation["requestBody"]["content"]["application/json"]
    model = getattr(requests, content["schema"]["$ref"].rpartition("/")[2])
    allowed = AllowList.of(SETTINGS.model_copy(update={"checkout_url_allow_list": ("https://shop.example.com",)}))
    model.model_validate(json.loads(json.dumps(content["example"]), parse_float=Decimal), context=allowed)


def test_a_field_that_no_example_can_be_made_for_is_named() -> None:
    schemas = {"Parcel": {"type": "object", "properties": {"weight": {"type": "integer"}}}}
    with pytest.raises(openapi_examples.NoExampleError, match=r"Parcel\.weight"):
        openapi_examples.of_model("Parcel", schemas)


def test_every_code_is_an_answer_of_some_route() -> None:
    named = {
        code
        for _, operation in operations()
        for answer in operation["responses"].values()
        for code in problem_codes(answer)
    }
    # A path that is known and a method that is not: no operation can say so.
    assert named | {"method_not_allowed"} == set(PROBLEMS)


def test_an_operation_may_turn_out_as_any_command() -> None:
    found = dict(operations())["get /payments/operations/{id}"]["responses"]
    for name, operation in operations():
        if "202" in operation["responses"]:
            assert set(operation["responses"]) <= set(found), name
            for status, answer in operation["responses"].items():
                assert problem_codes(answer) <= problem_codes(found[status])
                assert references(answer) <= references(found[status])


def test_every_operation_has_a_name_of_its_own_and_a_chapter() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)
    assert "postCheckoutCancel" in names
    assert all(operation["tags"] for _, operation in operations())
