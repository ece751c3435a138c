"""What every operation of the OpenAPI document has and none needs to say for itself: a name for generated clients, a tag,
examples, and the headers that go with a status."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from paywindow.front.openapi_examples import Schema, of_field, of_model

METHODS = ("get", "post", "put", "patch", "delete")

#: First literal part of a path below /payments, or of any other path -> the chapter that it belongs to.
_TAGS = {
    "checkout": "Payment sessions",
    "sessions": "Payment sessions",
    "retry": "Payment sessions",
    "operations": "Payment sessions",
    "receipts": "Receipts",
    "refunds": "Refunds",
    "methods": "Payment methods",
    "makers": "Makers",
    "webhooks": "Stripe",
    "healthz": "Health",
    "readyz": "Health",
}

#: The route where commands' outcomes are.
_OUTCOMES = "/payments/operations/{id}"

_TEXT = {"type": "string"}
#: Status -> headers that an answer with it always has.
_HEADERS: dict[str, dict[str, str]] = {
    "202": {"Location": "Where the outcome will be.", "Retry-After": "Seconds after which to look there."},
    "302": {"Location": "Where the file is, for a short while."},
    "401": {"WWW-Authenticate": "`Bearer`."},
    "503": {"Retry-After": "Seconds after which to try again."},
}


def operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of each route."""
    for path, methods in paths.items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def complete(paths: dict[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Put all that into the operations. Raises :class:`~paywindow.front.openapi_examples.NoExampleError`."""
    for path, method, operation in operations(paths):
        operation["operationId"] = _name(method, path)
        operation["tags"] = [_tag(path)]
        operation["parameters"] = [
            {**each, "example": of_field(each["name"], each["schema"], schemas, f"{method} {path}: {each['name']}")}
            for each in operation["parameters"]
        ]
        for content in _contents(operation):
            _give_example(content, schemas)
        for status, answer in operation["responses"].items():
            if status in _HEADERS and (status != "503" or answer.get("content")):
                answer["headers"] = {
                    name: {"description": text, "schema": _TEXT} for name, text in _HEADERS[status].items()
                }


def add_outcomes(paths: dict[str, Any]) -> None:
    """Looking an operation up answers what any of the commands may answer: those are the routes with a 202."""
    found = paths[_OUTCOMES]["get"]["responses"]
    for path, _, operation in list(operations(paths)):
        if path != _OUTCOMES and "202" in operation["responses"]:
            for status, answer in operation["responses"].items():
                if status != "202":
                    found[status] = _merged(found[status], answer) if status in found else deepcopy(answer)
    paths[_OUTCOMES]["get"]["responses"] = dict(sorted(found.items()))


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """An answer that may be either of two."""
    merged = deepcopy(one)
    if other["description"] not in one["description"]:
        texts = dict.fromkeys(re.findall(r"[^.]+\.(?=\s|$)\s*", f"{one['description']} {other['description']}"))
        merged["description"] = " ".join(text.strip() for text in texts)
    for media_type, content in other.get("content", {}).items():
        mine = merged["content"][media_type]
        schemas = [*mine["schema"].get("anyOf", [mine["schema"]])]
        schemas += [each for each in content["schema"].get("anyOf", [content["schema"]]) if each not in schemas]
        mine["schema"] = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        if "examples" in content:
            mine["examples"] = {**mine.get("examples", {}), **content["examples"]}
    return merged


def _name(method: str, path: str) -> str:
    """``postCheckoutCancel`` for ``POST /payments/checkout/{id}/cancel``."""
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"\{[^}]*\}", " ", path.removeprefix("/payments")))
    return method + "".join(word[0].upper() + word[1:] for word in words)


def _tag(path: str) -> str:
    first = path.removeprefix("/payments").strip("/").partition("/")[0]
    return _TAGS.get(first, first.capitalize())


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        yield from body.get("content", {}).values()


def _give_example(content: dict[str, Any], schemas: Mapping[str, Schema]) -> None:
    if "example" in content or "examples" in content:
        return
    schema = content["schema"]
    if "anyOf" in schema:
        models = [each["$ref"].rpartition("/")[2] for each in schema["anyOf"]]
        content["examples"] = {model: {"value": of_model(model, schemas)} for model in models}
    else:
        content["example"] = of_model(schema["$ref"].rpartition("/")[2], schemas)
