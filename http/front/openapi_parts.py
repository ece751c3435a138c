"""The pieces from which the OpenAPI document is put together: contents, answers, problems, query parameters."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from paywindow.errors import PROBLEMS, Problem
from paywindow.front import responses
from paywindow.front.answers import JSON, PROBLEM_JSON

DESCRIPTION = """\
Checkout and payment processing for auction marketplaces, with a deadline.

Money is an exact JSON number in the currency's decimals (`275.50`); times are RFC 3339 in UTC; names are in camelCase. Requests
with unknown fields are refused. Errors are problem+json (RFC 9457): `code` is stable, everything else may be reworded.

Commands take an `Idempotency-Key`, and answer 202 with the `Location` of their outcome when it takes longer than the caller
waits."""

REFERENCE = "#/components/schemas/{model}"

SECURITY_SCHEMES: dict[str, Any] = {
    "serviceKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A service key (`pwk_...`) of the marketplace's servers; never in an app or a page. Scopes: `checkout` "
        "opens and cancels, `read` reads, `refund` gives money back, `admin` overrides.",
    },
    "buyerToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The signed token of one session, from `payUrl` or `POST .../buyer-token`; also taken from the query "
        "(`token`) and from the cookie that the buyer's page sets.",
    },
}


def content(media_type: str, *models: type[BaseModel]) -> dict[str, Any]:
    """A body in one media type; of several models it is any."""
    references = [{"$ref": REFERENCE.format(model=model.__name__)} for model in models]
    return {media_type: {"schema": references[0] if len(references) == 1 else {"anyOf": references}}}


def answers(by_status: dict[int, type[BaseModel] | None]) -> dict[str, Any]:
    """The answers that are no problems; those without a model have no body."""
    return {
        str(status): {"description": _BODILESS.get(status, "No body.")}
        if model is None
        else {"description": (model.__doc__ or "").strip().replace("``", "`"), "content": content(JSON, model)}
        for status, model in by_status.items()
    }


_BODILESS = {302: "The way to the file.", 304: "Nothing has changed."}


def problems(codes: Iterable[str]) -> dict[str, Any]:
    """The problems with these codes, by status, with an example each."""
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(str(int(PROBLEMS[code][0])), []).append(code)
    return {status: _problem(by_status[status]) for status in sorted(by_status)}


def _problem(codes: list[str]) -> dict[str, Any]:
    body = content(PROBLEM_JSON, responses.ProblemDetails)
    body[PROBLEM_JSON]["examples"] = {
        code: {
            "summary": PROBLEMS[code][1],
            "value": Problem(code, f"{PROBLEMS[code][1]}.", **_EXTRA.get(code, {})).body(),
        }
        for code in codes
    }
    return {"description": " ".join(f"`{code}`: {PROBLEMS[code][1]}." for code in codes), "content": body}


#: What stands in a problem beside what all have.
_EXTRA: dict[str, dict[str, Any]] = {
    "invalid_request": {"errors": [{"field": "amount", "rule": "is required"}]},
    "auction_taken": {"sessionId": "cbddfacc-9485-4999-bee3-28638d37a078"},
}


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """One parameter for each field of a model that validates a query."""
    fields = model.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "description": field.pop("description"), "schema": _without_null(field)}
        for name, field in fields.items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out or has a value; it is never null."""
    branch: dict[str, Any] = next((each for each in field.get("anyOf", ()) if each != {"type": "null"}), {})
    kept = {name: value for name, value in field.items() if name not in ("anyOf", "title") and value is not None}
    return {**branch, **kept}
