"""The OpenAPI 3.1 document, generated from the request and response models."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from paywindow import __version__, jsons
from paywindow.errors import PROBLEMS
from paywindow.front import requests, responses
from paywindow.front.answers import PROBLEM_JSON, json_text

_REFERENCE = "#/components/schemas/{model}"

_KEY: list[dict[str, list[str]]] = [{"serviceKey": []}]
_KEY_OR_BUYER: list[dict[str, list[str]]] = [*_KEY, {"buyerToken": []}]

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body give the same outcome again; another body is a 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: wait up to N seconds for the outcome before answering 202 (RFC 7240); capped.",
    "schema": {"type": "string", "examples": ["wait=5"]},
}
_BUYER_ID = {
    "name": "buyerId",
    "in": "query",
    "required": True,
    "description": "The buyer for whom the marketplace asks.",
    "schema": {"type": "string", "format": "uuid"},
}
_IF_NONE_MATCH = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
_LAST_EVENT_ID = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
_SIGNATURE = {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}

_READ_PROBLEMS = ["unauthenticated", "forbidden", "not_found", "unavailable", "timed_out"]
_COMMAND_PROBLEMS = [
    "malformed_json",
    "invalid_header",
    "unauthenticated",
    "forbidden",
    "body_too_large",
    "unsupported_media_type",
    "invalid_request",
    "idempotency_key_reused",
    "internal_error",
    "unavailable",
]


@cache
def document() -> dict[str, Any]:
    """The whole document, as plain JSON values. The same object each time: copy before changing it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paywindow",
            "version": __version__,
            "description": "Checkout and payment processing for auction marketplaces, with a deadline. "
            "Money is an exact JSON number in the currency's decimals; times are RFC 3339 in UTC.",
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": _security_schemes()},
    }


async def show(_: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return json_text(jsons.dumps(document()), headers={"Cache-Control": "public, max-age=300"})


def _paths() -> dict[str, Any]:
    return {
        "/payments/checkout/create": {
            "post": _operation(
                "Open a payment window",
                security=_KEY,
                parameters=[_IDEMPOTENCY_KEY, _PREFER],
                body=requests.CreateCheckout,
                answers={
                    201: responses.CheckoutCreated,
                    200: responses.CheckoutCreated,
                    202: responses.OperationPending,
                },
                problems=[*_COMMAND_PROBLEMS, "auction_taken", "stripe_refused"],
            )
        },
        "/payments/checkout/{id}/cancel": {
            "post": _operation(
                "Call the sale off",
                security=_KEY,
                parameters=[_ID, _IDEMPOTENCY_KEY, _PREFER],
                body=requests.CancelCheckout,
                body_required=False,
                answers={200: responses.CheckoutCanceled, 202: responses.OperationPending},
                problems=[
                    *_COMMAND_PROBLEMS,
                    "not_found",
                    "already_paid",
                    "payment_processing",
                    "session_expired",
                    "session_held",
                ],
            )
        },
        "/payments/checkout/{id}/status": {
            "get": _operation(
                "How a session stands",
                security=_KEY_OR_BUYER,
                parameters=[_ID, _IF_NONE_MATCH],
                answers={200: responses.SessionStatus, 304: None},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/events": {"get": _event_stream()},
        "/payments/checkout/{id}/window": {
            "get": _operation(
                "How much time is left",
                security=_KEY_OR_BUYER,
                parameters=[_ID],
                answers={200: responses.WindowState},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/expire": _override(
            "Close the window now", requests.Override, responses.CheckoutCanceled, ["session_canceled"]
        ),
        "/payments/checkout/{id}/extend": _override(
            "Move the deadline of an open window",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/reopen": _override(
            "Open an expired window again",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["auction_taken", "session_open", "session_canceled", "stripe_refused"],
        ),
        "/payments/checkout/{id}/grant-retry": _override(
            "Allow a failed payment one more try",
            requests.Override,
            responses.CheckoutCreated,
            ["not_failed", "session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/resolve": _override(
            "End a hold",
            requests.ResolveHold,
            responses.CheckoutCanceled,
            ["not_held", "nothing_paid", "auction_taken", "session_canceled"],
        ),
        "/payments/refunds": {
            "post": _operation(
                "Give a payment back, wholly or in part",
                security=_KEY,
                parameters=[{**_IDEMPOTENCY_KEY, "required": True}, _PREFER],
                body=requests.RefundPayment,
                answers={201: responses.RefundMade, 202: responses.OperationPending},
                problems=[
                    *_COMMAND_PROBLEMS,
                    "not_found",
                    "nothing_paid",
                    "already_refunded",
                    "refund_exceeds_payment",
                    "refund_blocked",
                    "session_held",
                    "stripe_refused",
                ],
            )
        },
        "/payments/retry/{id}": _override(
            "Try a failed payment again on a new page",
            requests.RetryPayment,
            responses.CheckoutCreated,
            [
                "not_failed",
                "retry_limit_reached",
                "retry_under_way",
                "session_expired",
                "session_canceled",
                "stripe_refused",
            ],
            security=_KEY_OR_BUYER,
            body_required=False,
        ),
        "/payments/methods": {
            "get": _operation(
                "The payment methods that a buyer keeps, newest first",
                security=_KEY,
                parameters=[_BUYER_ID],
                answers={200: responses.PaymentMethods},
                problems=[*(code for code in _READ_PROBLEMS if code != "not_found"), "invalid_request"],
            )
        },
        "/payments/methods/{id}": {
            "delete": _operation(
                "Take a payment method from its buyer, for good",
                security=_KEY,
                parameters=[_ID, _BUYER_ID, _IDEMPOTENCY_KEY, _PREFER],
                answers={200: responses.PaymentMethodDetached, 202: responses.OperationPending},
                problems=[
                    "invalid_header",
                    "unauthenticated",
                    "forbidden",
                    "not_found",
                    "invalid_request",
                    "idempotency_key_reused",
                    "unavailable",
                ],
            )
        },
        "/payments/operations/{id}": {
            "get": _operation(
                "The outcome of a command, with the command's own status and body",
                security=_KEY_OR_BUYER,
                parameters=[_ID],
                answers={
                    200: responses.CheckoutCreated,
                    201: responses.CheckoutCreated,
                    202: responses.OperationPending,
                },
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/receipts/{id}": {
            "get": _operation(
                "What a receipt says about itself",
                security=_KEY_OR_BUYER,
                parameters=[_ID],
                answers={200: responses.ReceiptFound},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/receipts/{id}/download": {
            "get": _operation(
                "The receipt's file, by redirect to a short-lived address",
                security=_KEY_OR_BUYER,
                parameters=[_ID],
                answers={302: None},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/webhooks/stripe": {
            "post": _operation(
                "Stripe's events",
                security=[],
                parameters=[_SIGNATURE],
                answers={200: responses.WebhookReceived},
                problems=["invalid_signature", "invalid_event", "body_too_large", "unavailable"],
            )
        },
        "/healthz": {"get": _operation("The process is up", security=[], answers={200: None}, problems=[])},
        "/readyz": {
            "get": _operation("The process can work", security=[], answers={200: None, 503: None}, problems=[])
        },
    }


def _event_stream() -> dict[str, Any]:
    operation = _operation(
        "How a session stands, as it changes (server-sent events)",
        security=_KEY_OR_BUYER,
        parameters=[_ID, _LAST_EVENT_ID],
        answers={204: None},
        problems=_READ_PROBLEMS,
    )
    described = (
        "`status`: a SessionStatus, now and after each change, its ETag as id; `window`: a WindowState, as a beat; "
    )
    described += "`end`: nothing more will come. The latest wins: changes may be left out."
    stream = {"description": described, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    operation["responses"] = {"200": stream, **operation["responses"]}
    return operation


def _override(
    summary: str,
    body: type[BaseModel],
    answer: type[BaseModel],
    problems: list[str],
    *,
    security: list[dict[str, list[str]]] = _KEY,
    body_required: bool = True,
) -> dict[str, Any]:
    """A command about an existing session."""
    refusals = ["not_found", "already_paid", "payment_processing", "session_held"]
    return {
        "post": _operation(
            summary,
            security=security,
            parameters=[_ID, _IDEMPOTENCY_KEY, _PREFER],
            body=body,
            body_required=body_required,
            answers={200: answer, 202: responses.OperationPending},
            problems=[*_COMMAND_PROBLEMS, *refusals, *problems],
        )
    }


def _operation(
    summary: str,
    *,
    security: list[dict[str, list[str]]],
    answers: dict[int, type[BaseModel] | None],
    problems: Iterable[str],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
    body_required: bool = True,
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "security": security, "parameters": parameters or []}
    if body is not None:
        operation["requestBody"] = {"required": body_required, "content": _content("application/json", body)}
    operation["responses"] = {**_answers(answers), **_problems(problems)}
    return operation


def _answers(answers: dict[int, type[BaseModel] | None]) -> dict[str, Any]:
    return {
        str(status): {"description": "No body of interest."}
        if model is None
        else {"description": (model.__doc__ or "").strip(), "content": _content("application/json", model)}
        for status, model in answers.items()
    }


def _problems(codes: Iterable[str]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in codes:
        status, title = PROBLEMS[code]
        by_status.setdefault(str(int(status)), []).append(f"`{code}`: {title}.")
    return {
        status: {"description": " ".join(lines), "content": _content(PROBLEM_JSON, responses.ProblemDetails)}
        for status, lines in sorted(by_status.items())
    }


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _schemas() -> dict[str, Any]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (requests.CreateCheckout, "validation"),
        (requests.CancelCheckout, "validation"),
        (requests.Override, "validation"),
        (requests.MoveDeadline, "validation"),
        (requests.RetryPayment, "validation"),
        (requests.ResolveHold, "validation"),
        (requests.RefundPayment, "validation"),
        *((model, "serialization") for model in responses.MODELS),
    ]
    _, schema = models_json_schema(wanted, ref_template=_REFERENCE)
    return dict(sorted(schema["$defs"].items()))


def _security_schemes() -> dict[str, Any]:
    return {
        "serviceKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A service key (`pwk_...`) with the scopes it needs: `checkout` for commands, "
            "`read` for reading, `refund` for refunds, `admin` for overrides.",
        },
        "buyerToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "The signed token of one session; also taken from the query (`token`) and the cookie.",
        },
    }
