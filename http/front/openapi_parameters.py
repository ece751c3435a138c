"""Parameters that several operations of the OpenAPI document share."""

from typing import Any

ID: dict[str, Any] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body give the same outcome again; another body is a 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "examples": ["order-17"]},
}
PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: wait up to N seconds for the outcome before answering 202 (RFC 7240); capped.",
    "schema": {"type": "string", "examples": ["wait=5"]},
}
BUYER_ID: dict[str, Any] = {
    "name": "buyerId",
    "in": "query",
    "required": True,
    "description": "The buyer for whom the marketplace asks.",
    "schema": {"type": "string", "format": "uuid"},
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of an earlier answer: 304 while nothing has changed since.",
    "schema": {"type": "string", "examples": ['"4-service"']},
}
LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that the reader has: it is not sent again.",
    "schema": {"type": "string", "examples": ['"4-buyer"']},
}
SIGNATURE: dict[str, Any] = {
    "name": "Stripe-Signature",
    "in": "header",
    "required": True,
    "description": "Stripe's signature of the body (https://docs.stripe.com/webhooks#verify-manually).",
    "schema": {
        "type": "string",
        "examples": ["t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"],
    },
}
