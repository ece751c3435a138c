"""What the routes are, for the OpenAPI document: chapter by chapter, in the order in which they are shown."""

from typing import Any

from paywindow.front import openapi_parts as parts
from paywindow.front import requests, responses
from paywindow.front.openapi_operations import (
    BUYER,
    CHECKOUT,
    CHECKOUT_OR_BUYER,
    COMMAND_PROBLEMS,
    READ,
    READ_OR_BUYER,
    READ_PROBLEMS,
    describe,
    describe_event_stream,
    describe_override,
    keys,
)
from paywindow.front.openapi_parameters import BUYER_ID, ID, IDEMPOTENCY_KEY, IF_NONE_MATCH, PREFER, SIGNATURE
from paywindow.keys import Scope


def paths() -> dict[str, Any]:
    """All routes."""
    return {**_sessions(), **_overrides(), **_money(), **_others()}


def _sessions() -> dict[str, Any]:
    """Opening a payment window and following it."""
    return {
        "/payments/checkout/create": {
            "post": describe(
                "Open a payment window",
                "Opens a Checkout page at Stripe and answers `payUrl`, where the buyer is to be sent. An auction has at "
                "most one open session: the same auction, buyer and amount again answer 200 with the session that is there, "
                "anything else is a 409 `auction_taken`.",
                security=CHECKOUT,
                parameters=[IDEMPOTENCY_KEY, PREFER],
                body=requests.CreateCheckout,
                answers={
                    201: responses.CheckoutCreated,
                    200: responses.CheckoutCreated,
                    202: responses.OperationPending,
                },
                problems=[
                    *COMMAND_PROBLEMS,
                    "auction_taken",
                    "seller_not_ready",
                    "session_closed",
                    "session_expired",
                    "stripe_refused",
                ],
            )
        },
        "/payments/checkout/{id}/cancel": {
            "post": describe(
                "Call the sale off",
                "Closes the page at Stripe first; if the buyer was faster, this is a 409 `already_paid`. Then the auction is "
                "free again.",
                security=CHECKOUT,
                parameters=[ID, IDEMPOTENCY_KEY, PREFER],
                body=requests.CancelCheckout,
                body_required=False,
                answers={200: responses.CheckoutCanceled, 202: responses.OperationPending},
                problems=[
                    *COMMAND_PROBLEMS,
                    "not_found",
                    "already_paid",
                    "payment_processing",
                    "session_expired",
                    "session_held",
                ],
            )
        },
        "/payments/checkout/{id}/status": {
            "get": describe(
                "How a session stands",
                "The session with its tries, its payment and its receipt. Cheap to poll: send the `ETag` back in "
                "`If-None-Match`. Buyers do not see fees and statements.",
                security=READ_OR_BUYER,
                parameters=[ID, IF_NONE_MATCH],
                answers={200: responses.SessionStatus, 304: None},
                problems=READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/events": {"get": describe_event_stream()},
        "/payments/checkout/{id}/window": {
            "get": describe(
                "How much time is left",
                "By the server's clock, so that a countdown is right on a device whose clock is wrong.",
                security=READ_OR_BUYER,
                parameters=[ID],
                answers={200: responses.WindowState},
                problems=READ_PROBLEMS,
            )
        },
        "/payments/checkout/{id}/buyer-token": {
            "post": describe(
                "Another link for the buyer",
                "The `payUrl` again, and its token by itself, for an app that shows the session on its own. All tokens of a "
                "session are good until its window, as it then stands, plus some days.",
                security=CHECKOUT,
                parameters=[ID],
                answers={200: responses.BuyerToken},
                problems=[*READ_PROBLEMS, "session_expired"],
            )
        },
        "/payments/sessions": {
            "get": describe(
                "Find sessions",
                "Newest first, a page at a time: pass `nextCursor` back as `cursor`, with the same filters. Pages neither "
                "repeat nor leave out a session because others are opened meanwhile.",
                security=READ,
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
    }


def _overrides() -> dict[str, Any]:
    """What moves a window, and what an operator decides."""
    return {
        "/payments/checkout/{id}/expire": describe_override(
            "Close the window now",
            "As if the deadline had passed: the page is closed at Stripe, and the auction is free again.",
            requests.Override,
            responses.CheckoutCanceled,
            ["session_canceled"],
        ),
        "/payments/checkout/{id}/extend": describe_override(
            "Move the deadline of an open window",
            "By minutes from the present deadline, or until a moment.",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/reopen": describe_override(
            "Open an expired window again",
            "With a new page behind the same `payUrl`, unless the auction has another open session.",
            requests.MoveDeadline,
            responses.CheckoutCreated,
            ["auction_taken", "session_open", "session_canceled", "stripe_refused"],
        ),
        "/payments/checkout/{id}/grant-retry": describe_override(
            "Allow a failed payment one more try",
            "Raises the session's limit by one, and makes the try possible at once.",
            requests.Override,
            responses.CheckoutCreated,
            ["not_failed", "session_expired", "session_canceled"],
        ),
        "/payments/checkout/{id}/resolve": describe_override(
            "End a hold",
            "The money that waits is accepted, or given back; the session's timers go on.",
            requests.ResolveHold,
            responses.CheckoutCanceled,
            ["not_held", "nothing_paid", "auction_taken", "session_canceled"],
        ),
        "/payments/retry/{id}": describe_override(
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
            security=CHECKOUT_OR_BUYER,
            body_required=False,
        ),
    }


def _money() -> dict[str, Any]:
    """Refunds, payment methods, makers and receipts."""
    return {
        "/payments/refunds": {
            "post": describe(
                "Give a payment back, wholly or in part",
                "An `Idempotency-Key` is required. Never more than what was paid. A credit note is issued once Stripe has "
                "done it.",
                security=keys(Scope.REFUND),
                parameters=[{**IDEMPOTENCY_KEY, "required": True}, PREFER],
                body=requests.RefundPayment,
                answers={201: responses.RefundMade, 202: responses.OperationPending},
                problems=[
                    *COMMAND_PROBLEMS,
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
        "/payments/methods": {
            "get": describe(
                "The payment methods that a buyer keeps",
                "Newest first, and never a number.",
                security=keys(Scope.READ, Scope.CHECKOUT),
                parameters=[BUYER_ID],
                answers={200: responses.PaymentMethodList},
                problems=[*(code for code in READ_PROBLEMS if code != "not_found"), "invalid_request"],
            )
        },
        "/payments/methods/{id}": {
            "delete": describe(
                "Take a payment method from its buyer",
                "For good: the buyer's Checkout pages do not offer it any more.",
                security=CHECKOUT,
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
            "post": describe(
                "Open a maker's account at Stripe, if there is none, and mint an onboarding link",
                "The link works once and for a few minutes; asking again mints another one for the same account.",
                security=CHECKOUT,
                parameters=[ID, IDEMPOTENCY_KEY, PREFER],
                body=requests.LinkSeller,
                body_required=False,
                answers={
                    201: responses.SellerLinked,
                    200: responses.SellerLinked,
                    202: responses.OperationPending,
                },
                problems=[*COMMAND_PROBLEMS, "not_found", "stripe_refused"],
            ),
            "get": describe(
                "What a maker's account can do, and what Stripe still wants to know",
                "As the last event about the account told it; nothing is asked at Stripe.",
                security=READ,
                parameters=[ID],
                answers={200: responses.SellerFound},
                problems=READ_PROBLEMS,
            ),
        },
        "/payments/receipts/{id}": {
            "get": describe(
                "What a receipt says about itself",
                "Also of credit notes and, for service keys, of sellers' statements. `ready` says whether the file is stored.",
                security=READ_OR_BUYER,
                parameters=[ID],
                answers={200: responses.ReceiptFound},
                problems=READ_PROBLEMS,
            )
        },
        "/payments/receipts/{id}/download": {
            "get": describe(
                "The receipt's file",
                "By redirect to an address that works for a few minutes. 404 until the file is stored. Who was sent there "
                "is on record.",
                security=READ_OR_BUYER,
                parameters=[ID],
                answers={302: None},
                problems=READ_PROBLEMS,
            )
        },
    }


def _others() -> dict[str, Any]:
    """Outcomes of commands, Stripe's webhooks, the page, and how the process is."""
    return {
        "/payments/operations/{id}": {
            "get": describe(
                "The outcome of a command",
                "With the command's own status and body, whatever they are; 202 while there is none.",
                security=[*keys(*Scope), *BUYER],
                parameters=[ID],
                answers={202: responses.OperationPending},
                problems=READ_PROBLEMS,
            )
        },
        "/payments/webhooks/stripe": {
            "post": describe(
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
            "get": describe(
                "The process is up",
                "Looks at nothing else, so that an outage of Redis restarts no front end.",
                security=[],
                answers={200: responses.Health},
                problems=[],
            )
        },
        "/readyz": {
            "get": describe(
                "The process can work",
                "503 names what is missing: a part that cannot be reached, or is full, or the process is about to end.",
                security=[],
                answers={200: responses.Readiness, 503: responses.Readiness},
                problems=[],
            )
        },
    }
