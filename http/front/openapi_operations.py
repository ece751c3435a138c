"""Operations of the OpenAPI document: who may ask, what is sent and answered, and which problems there are."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from paywindow.front import openapi_parts as parts
from paywindow.front import responses
from paywindow.front.answers import JSON
from paywindow.front.openapi_parameters import ID, IDEMPOTENCY_KEY, LAST_EVENT_ID, PREFER
from paywindow.keys import Scope

#: Who may ask: any one of these.
Security = list[dict[str, list[str]]]


def keys(*scopes: Scope) -> Security:
    """A service key that has any one of the scopes."""
    return [{"serviceKey": [scope.value]} for scope in scopes]


BUYER: Security = [{"buyerToken": []}]
READ = keys(Scope.READ)
CHECKOUT = keys(Scope.CHECKOUT)
ADMIN = keys(Scope.ADMIN)
READ_OR_BUYER: Security = [*READ, *BUYER]
CHECKOUT_OR_BUYER: Security = [*CHECKOUT, *BUYER]

READ_PROBLEMS = ["unauthenticated", "forbidden", "not_found", "internal_error", "unavailable", "timed_out"]
COMMAND_PROBLEMS = [
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


def describe_event_stream() -> dict[str, Any]:
    """Server-sent events: what OpenAPI 3.1 can say of them."""
    operation = describe(
        "How a session stands, as it changes (server-sent events)",
        "`status`: a SessionStatus, now and after each change, its ETag as id; `window`: a WindowState, as a beat; "
        "`end`: nothing more will come. The latest wins: changes may be left out. 204 when the reader has the final state.",
        security=READ_OR_BUYER,
        parameters=[ID, LAST_EVENT_ID],
        answers={204: None},
        problems=READ_PROBLEMS,
    )
    # Without a type: a test of the document sees an object for each event, and a generated client the stream's text.
    events = {
        "schema": {"description": "One event: its name, perhaps an id to go on from, and a JSON document as text."},
        "example": {"event": "end", "data": '{"reason": "final"}'},
    }
    stream = {"description": "Events until the end.", "content": {"text/event-stream": events}}
    operation["responses"] = {"200": stream, **operation["responses"]}
    return operation


def describe_override(
    summary: str,
    description: str,
    body: type[BaseModel],
    answer: type[BaseModel],
    problems: list[str],
    *,
    security: Security = ADMIN,
    body_required: bool = True,
) -> dict[str, Any]:
    """A command about an existing session."""
    refusals = ["not_found", "already_paid", "payment_processing", "session_held"]
    return {
        "post": describe(
            summary,
            description,
            security=security,
            parameters=[ID, IDEMPOTENCY_KEY, PREFER],
            body=body,
            body_required=body_required,
            answers={200: answer, 202: responses.OperationPending},
            problems=[*COMMAND_PROBLEMS, *refusals, *problems],
        )
    }


def describe(
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
    """An operation: its texts, who may ask, what is sent, each answer and each problem."""
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
