"""Form decoding, and the schemas that are read off the SDK."""

from typing import Any

import pytest
import stripe.params
import stripe.params.checkout
from stripe._encode import _api_encode
from stripe.params import EventListParams
from stripe.params.checkout import SessionCreateParams

from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.forms import decode
from paywindow.sandbox.sdk_types import schema_of


def refused(text: str, params: type = SessionCreateParams) -> StripeError:
    with pytest.raises(StripeError) as caught:
        schema_of(params).check_all(decode(text))
    return caught.value


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", {}),
        ("a=1&a=2", {"a": "2"}),
        ("a[b][c]=x&a[b][d]=", {"a": {"b": {"c": "x", "d": ""}}}),
        ("a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        ("a[0][b]=x&a[1][b]=y", {"a": {"0": {"b": "x"}, "1": {"b": "y"}}}),
        ("a%5Bb%5D=%C3%A9+%26", {"a": {"b": "é &"}}),
        ("a[b=x", {"a[b": "x"}),
        ("a=x&a[b]=y", {"a": {"b": "y"}}),
    ],
)
def test_brackets_become_nested_dictionaries(text: str, form: dict[str, Any]) -> None:
    assert decode(text) == form


def test_what_the_sdk_encodes_comes_back_typed() -> None:
    sent = {
        "mode": "payment",
        "line_items": [
            {"quantity": 2, "price_data": {"currency": "usd", "unit_amount": 5, "product_data": {"name": "x"}}}
        ],
        "automatic_tax": {"enabled": False},
        "metadata": {"0": "zero", "k": "v"},
        "allowed_payment_method_types": ["card"],
    }
    encoded = "&".join(f"{key}={value}" for key, value in _api_encode(sent))
    assert schema_of(SessionCreateParams).check_all(decode(encoded)) == sent


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("payment_method_types[0]=card", "parameter_unknown", "payment_method_types"),
        ("line_items[0][colour]=red", "parameter_unknown", "line_items[0][colour]"),
        ("line_items[0][price_data][unit_amount]=5", "parameter_missing", "line_items[0][price_data][currency]"),
        ("expires_at=1.5", "parameter_invalid_integer", "expires_at"),
        ("success_url=", "parameter_invalid_empty", "success_url"),
        ("mode=gift", None, "mode"),
        ("line_items=x", None, "line_items"),
        ("automatic_tax[enabled]=maybe", None, "automatic_tax[enabled]"),
        ("metadata=x", None, "metadata"),
        ("metadata[a][b]=x", None, "metadata[a]"),
        ("success_url[a]=x", None, "success_url"),
        ("api_key=sk_test_x", "parameter_unknown", "api_key"),
    ],
)
def test_refusals_name_code_and_path(text: str, code: str | None, param: str) -> None:
    error = refused(text)
    assert (error.status, error.code, error.param) == (400, code, param)


def test_several_unknown_parameters_are_named_together() -> None:
    assert refused("a=1&b=2").message == "Received unknown parameters: a, b"


def test_choices_are_listed() -> None:
    assert refused("mode=gift").message == "Invalid mode: must be one of payment, setup, or subscription"


def test_a_filter_may_be_a_number_or_a_hash() -> None:
    schema = schema_of(EventListParams)
    assert schema.check_all(decode("created=5")) == {"created": 5}
    assert schema.check_all(decode("created[gte]=5")) == {"created": {"gte": 5}}
    assert refused("created=x", EventListParams).code == "parameter_invalid_integer"
    assert refused("created[after]=x", EventListParams).param == "created[after]"


@pytest.mark.parametrize("module", [stripe.params, stripe.params.checkout])
def test_every_parameter_definition_of_the_sdk_can_be_read(module: Any) -> None:
    # A file upload is not form encoded.
    names = [name for name in module._import_map if name.endswith("Params") and name != "FileCreateParams"]
    assert names
    for name in names:
        schema_of(getattr(module, name))
