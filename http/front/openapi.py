"""The OpenAPI 3.1 document, generated from the request and response models."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from paywindow import __version__, jsons
from paywindow.front import openapi_details, requests, responses
from paywindow.front import openapi_parts as parts
from paywindow.front.answers import JSON, json_text
from paywindow.front.openapi_parameters import (
    BUYER_ID,
    ID,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    PREFER,
    SIGNATURE,
)
from paywindow.keys import Scope

#: Who may ask: any one of these.
Security = list[dict[str, list[str]]]


def _keys(*scopes: Scope) -> Security:
    """A service key that has any one of the scopes."""
    return [{"serviceKey": [scope.value]} for scope in scopes]


_BUYER: Security = [{"buyerToken": []}]
_READ = _keys(Scope.READ)
_CHECKOUT = _keys(Scope.CHECKOUT)
_ADMIN = _keys(Scope.ADMIN)
_READ_OR_BUYER: Security = [*_READ, *_BUYER]
_CHECKOUT_OR_BUYER: Security = [*_CHECKOUT, *_BUYER]

_READ_PROBLEMS = ["unauthenticated", "forbidden", "not_found", "internal_error", "unavailable", "timed_out"]
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
    paths, schemas = _paths(), _schemas()
    openapi_details.add_outcomes(paths)
    openapi_details.complete(paths, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paywindow",
            "version": __version__,
            "description": parts.DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": parts.SECURITY_SCHEMES},
    }


async def show(_: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return json_text(jsons.dumps(document()), headers={"Cache-Control": "public, max-age=300"})


def _paths() -> dict[str, Any]:
    return {
        "/payments/checkout/create": {
            "post": _operation(
                "Open a payment window",
                "Opens a Checkout page at Stripe and answers `payUrl`, where the buyer is to be sent. An auction has at "
                "most one open session: the same auction, buyer and amount again answer 200 with the session that is there, "
                "anything else is a 409 `auction_taken`.",
                security=_CHECKOUT,
                parameters=[IDEMPOTENCY_KEY, PREFER],
                body=requests.CreateCheckout,
                answers={
                    201: responses.CheckoutCreated,
                    200: responses.CheckoutCreated,
                    202: responses.OperationPending,
                },
                problems=[
                    *_COMMAND_PROBLEMS,
                    "auction_taken",
                    "seller_not_ready",
                    "session_closed",
                    "session_expired",
                    "stripe_refused",
                ],
            )
        },
        "/payments/checkout/{id}/cancel": {
            "post": _operation(
                "Call the sale off",
                "Closes the page at Stripe first; if the buyer was faster, this is a 409 `already_paid`. Then the auction is "
                "free again.",
                security=_CHECKOUT,
                parameters=[ID, IDEMPOTENCY_KEY, PREFER],
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
                "The session with its tries, its payment and its receipt. Cheap to poll: send the `ETag` back in "
                "`If-None-Match`. Buyers do not see fees and statements.",
                security=_READ_OR_BUYER,
                parameters=[ID, IF_NONE_MATCH],
                answers={200: responses.SessionStatus, 304: None},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/events": {"get": _event_stream()},
        "/payments/checkout/{id}/window": {
            "get": _operation(
                "How much time is left",
                "By the server's clock, so that a countdown is right on a device whose clock is wrong.",
                security=_READ_OR_BUYER,
                parameters=[ID],
                answers={200: responses.WindowState},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/buyer-token": {
            "post": _operation(
                "Another link for the buyer",
                "The `payUrl` again, and its token by itself, for an app that shows the session on its own. All tokens of a "
                "session are good until its window, as it then stands, plus some days.",
                security=_CHECKOUT,
                parameters=[ID],
                answers={200: responses.BuyerToken},
                problems=[*_READ_PROBLEMS, "session_expired"],
            )
        },
        "/payments/sessions": {
            "get": _operation(
                "Find sessions",
                "Newest first, a page at a time: pass `nextCursor` back as `cursor`, with the same filters. Pages neither "
                "repeat nor leave out a session because others are opened meanwhile.",
                security=_READ,
                parameters=parts.query_parameters(requests.ListSessions),
                answers={200: responses.SessionPage},
                problems=[
                    "invalid_request",
                    "unauthenticated",
                    "forbidden",
                    "internal_error",
                    "unavailable",
                    "timed_out",
                ],
            )
        },
        "/payments/checkout/{id}/expire": _override(
            "Close the window now",
            "As if the deadline had passed: the page is closed at Stripe, and the auction is free again.",
            requests.Override,
            responses.CheckoutCanceled,
            ["session_canceled"],
        ),
        "/payments/checkout/{id}/extend": _override(
            "Move the deadline of an open window",
            "By minutes from the present deadline, or until a moment.",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/reopen": _override(
            "Open an expired window again",
            "With a new page behind the same `payUrl`, unless the auction has another open session.",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["auction_taken", "session_open", "session_canceled", "stripe_refused"],
        ),
        "/payments/checkout/{id}/grant-retry": _override(
            "Allow a failed payment one more try",
            "Raises the session's limit by one, and makes the try possible at once.",
            requests.Override,
            responses.CheckoutCreated,
            ["not_failed", "session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/resolve": _override(
            "End a hold",
            "The money that waits is accepted, or given back; the session's timers go on.",
            requests.ResolveHold,
            responses.CheckoutCanceled,
            ["not_held", "nothing_paid", "auction_taken", "session_canceled"],
        ),
        "/payments/refunds": {
            "post": _operation(
                "Give a payment back, wholly or in part",
                "An `Idempotency-Key` is required. Never more than what was paid. A credit note is issued once Stripe has "
                "done it.",
                security=_keys(Scope.REFUND),
                parameters=[{**IDEMPOTENCY_KEY, "required": True}, PREFER],
                body=requests.RefundPayment,
                answers={201: responses.RefundMade, 202: responses.OperationPending},
                problems=[
                    *_COMMAND_PROBLEMS,
                    "not_found",
                    "nothing_paid",
                    "already_refunded",
                    "refund_exceeds_payment",
                    "payment_disputed",
                    "refund_blocked",
                    "session_held",
                    "stripe_refused",
                ],
            )
        },
        "/payments/retry/{id}": _override(
            "Try a failed payment again on a new page",
            "The old page is closed at Stripe first; money found there wins. Each session has a limited number of tries.",
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
            security=_CHECKOUT_OR_BUYER,
            body_required=False,
        ),
        "/payments/methods": {
            "get": _operation(
                "The payment methods that a buyer keeps",
                "Newest first, and never a number.",
                security=_keys(Scope.READ, Scope.CHECKOUT),
                parameters=[BUYER_ID],
                answers={200: responses.PaymentMethodList},
                problems=[*(code for code in _READ_PROBLEMS if code != "not_found"), "invalid_request"],
            )
        },
        "/payments/methods/{id}": {
            "delete": _operation(
                "Take a payment method from its buyer",
                "For good: the buyer's Checkout pages do not offer it any more.",
                security=_CHECKOUT,
                parameters=[ID, BUYER_ID, IDEMPOTENCY_KEY, PREFER],
                answers={200: responses.PaymentMethodDetached, 202: responses.OperationPending},
                problems=[
                    "invalid_header",
                    "unauthenticated",
                    "forbidden",
                    "not_found",
                    "invalid_request",
                    "idempotency_key_reused",
                    "internal_error",
                    "unavailable",
                ],
            )
        },
        "/payments/makers/{id}/account": {
            "post": _operation(
                "Open a maker's account at Stripe, if there is none, and mint an onboarding link",
                "The link works once and for a few minutes; asking again mints another one for the same account.",
                security=_CHECKOUT,
                parameters=[ID, IDEMPOTENCY_KEY, PREFER],
                body=requests.LinkSeller,
                body_required=False,
                answers={
                    201: responses.SellerLinked,
                    200: responses.SellerLinked,
                    202: responses.OperationPending,
                },
                problems=[*_COMMAND_PROBLEMS, "not_found", "stripe_refused"],
            ),
            "get": _operation(
                "What a maker's account can do, and what Stripe still wants to know",
                "As the last event about the account told it; nothing is asked at Stripe.",
                security=_READ,
                parameters=[ID],
                answers={200: responses.SellerFound},
                problems=_READ_PROBLEMS,
            ),
        },
        "/payments/operations/{id}": {
            "get": _operation(
                "The outcome of a command",
                "With the command's own status and body, whatever they are; 202 while there is none.",
                security=[*_keys(*Scope), *_BUYER],
                parameters=[ID],
                answers={202: responses.OperationPending},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/receipts/{id}": {
            "get": _operation(
                "What a receipt says about itself",
                "Also of credit notes and, for service keys, of sellers' statements. `ready` says whether the file is stored.",
                security=_READ_OR_BUYER,
                parameters=[ID],
                answers={200: responses.ReceiptFound},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/receipts/{id}/download": {
            "get": _operation(
                "The receipt's file",
                "By redirect to an address that works for a few minutes. 404 until the file is stored. Who was sent there "
                "is on record.",
                security=_READ_OR_BUYER,
                parameters=[ID],
                answers={302: None},
                problems=_READ_PROBLEMS,
            )
        },
        "/payments/webhooks/stripe": {
            "post": _operation(
                "Stripe's events",
                "For Stripe alone: an event of the endpoint's API version, signed with one of the endpoint's secrets.",
                security=[],
                parameters=[SIGNATURE],
                body=requests.StripeEvent,
                answers={200: responses.WebhookReceived},
                problems=[
                    "invalid_signature",
                    "invalid_event",
                    "body_too_large",
                    "unsupported_media_type",
                    "internal_error",
                    "unavailable",
                ],
            )
        },
        "/healthz": {
            "get": _operation(
                "The process is up",
                "Looks at nothing else, so that an outage of Redis restarts no front end.",
                security=[],
                answers={200: responses.Health},
                problems=[],
            )
        },
        "/readyz": {
            "get": _operation(
                "The process can work",
                "503 names what cannot be reached.",
                security=[],
                answers={200: responses.Readiness, 503: responses.Readiness},
                problems=[],
            )
        },
    }


def _event_stream() -> dict[str, Any]:
    operation = _operation(
        "How a session stands, as it changes (server-sent events)",
        "`status`: a SessionStatus, now and after each change, its ETag as id; `window`: a WindowState, as a beat; "
        "`end`: nothing more will come. The latest wins: changes may be left out. 204 when the reader has the final state.",
        security=_READ_OR_BUYER,
        parameters=[ID, LAST_EVENT_ID],
        answers={204: None},
        problems=_READ_PROBLEMS,
    )
    # Without a type: a test of the document sees an object for each event, and a generated client the stream's text.
    events = {
        "schema": {"description": "One event: its name, perhaps an id to go on from, and a JSON document as text."},
        "example": {"event": "end", "data": '{"reason": "final"}'},
    }
    stream = {"description": "Events until the end.", "content": {"text/event-stream": events}}
    operation["responses"] = {"200": stream, **operation["responses"]}
    return operation


def _override(
    summary: str,
    description: str,
    body: type[BaseModel],
    answer: type[BaseModel],
    problems: list[str],
    *,
    security: Security = _ADMIN,
    body_required: bool = True,
) -> dict[str, Any]:
    """A command about an existing session."""
    refusals = ["not_found", "already_paid", "payment_processing", "session_held"]
    return {
        "post": _operation(
            summary,
            description,
            security=security,
            parameters=[ID, IDEMPOTENCY_KEY, PREFER],
            body=body,
            body_required=body_required,
            answers={200: answer, 202: responses.OperationPending},
            problems=[*_COMMAND_PROBLEMS, *refusals, *problems],
        )
    }


def _operation(
    summary: str,
    description: str,
    *,
    security: Security,
    answers: dict[int, type[BaseModel] | None],
    problems: Iterable[str],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
    body_required: bool = True,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "description": description,
        "security": security,
        "parameters": parameters or [],
    }
    if body is not None:
        operation["requestBody"] = {"required": body_required, "content": parts.content(JSON, body)}
    operation["responses"] = {**parts.answers(answers), **parts.problems(problems)}
    return operation


def _schemas() -> dict[str, Any]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (requests.CreateCheckout, "validation"),
        (requests.CancelCheckout, "validation"),
        (requests.Override, "validation"),
        (requests.MoveDeadline, "validation"),
        (requests.RetryPayment, "validation"),
        (requests.LinkSeller, "validation"),
        (requests.ResolveHold, "validation"),
        (requests.RefundPayment, "validation"),
        (requests.StripeEvent, "validation"),
        *((model, "serialization") for model in responses.MODELS),
    ]
    _, schema = models_json_schema(wanted, ref_template=parts.REFERENCE)
    return dict(sorted(schema["$defs"].items()))
