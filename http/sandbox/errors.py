"""Stripe's errors, with its statuses and bodies (https://docs.stripe.com/api/errors)."""

from typing import Any

from paywindow.sandbox.jsontypes import JsonObject

_DOC_URL = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An answer of status 4xx or 5xx. ``extra`` goes into the error object as it stands."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> JsonObject:
        """The JSON that Stripe sends; absent fields are left out, as there."""
        error: JsonObject = {"message": self.message, "type": self.kind, **self.extra}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = _DOC_URL + self.code.replace("_", "-")
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A parameter with a wrong value."""
    return StripeError(message, param=param, code=code)


def missing_parameter(param: str) -> StripeError:
    """A required parameter that was left out."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def unknown_parameters(params: list[str]) -> StripeError:
    """Parameters that the API version does not have."""
    plural = "s" if len(params) > 1 else ""
    return invalid(f"Received unknown parameter{plural}: {', '.join(params)}", params[0], "parameter_unknown")


def no_such(what: str, object_id: str, param: str = "id", status: int = 404) -> StripeError:
    """An id that names nothing: 404 in the path, 400 as a parameter."""
    return StripeError(f"No such {what}: '{object_id}'", status=status, param=param, code="resource_missing")


def unsupported(param: str, what: str = "parameter") -> StripeError:
    """Valid at Stripe, not modelled here. Refused, because ignoring it would let a test pass for the wrong reason."""
    return invalid(f"The sandbox does not model the {what} {param}; Stripe does.", param, "sandbox_unsupported")


def rate_limited(reason: str, code: str = "rate_limit") -> StripeError:
    """https://docs.stripe.com/rate-limits; ``lock_timeout`` is contention on one object."""
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it."
        if code == "lock_timeout"
        else "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."
    )
    return StripeError(message, status=429, code=code, headers={"Stripe-Rate-Limited-Reason": reason})


def internal_error(*, stored: bool) -> StripeError:
    """A 500. Stripe asks clients not to retry one that its idempotency layer would only replay."""
    return StripeError(
        "An unknown error occurred",
        status=500,
        kind="api_error",
        headers={"Stripe-Should-Retry": "false"} if stored else {},
    )
