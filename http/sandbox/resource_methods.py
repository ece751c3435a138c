"""``/v1/payment_methods`` (https://docs.stripe.com/api/payment_methods): Checkout makes them, the API keeps and drops them."""

from stripe.params import (
    PaymentMethodAttachParams,
    PaymentMethodDetachParams,
    PaymentMethodListParams,
    PaymentMethodRetrieveParams,
)

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import missing_parameter, unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import list_page
from paywindow.sandbox.routing import Call, Route
from paywindow.sandbox.saved_methods import attach, detach

_PATH = "/v1/payment_methods"
_FILTERS = frozenset(["allow_redisplay", "customer", "ending_before", "expand", "limit", "starting_after", "type"])


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("payment_method", call.ids["method"], "payment_method")


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    for name in params:
        if name not in _FILTERS:
            raise unsupported(name)
    if "customer" not in params:
        raise unsupported("customer", "absence of the parameter")

    def matches(method: JsonObject) -> bool:
        return all(params[name] == method[name] for name in ("allow_redisplay", "customer", "type") if name in params)

    return list_page(sandbox.store.newest_first("payment_method"), params, _PATH, matches)


def _attach(sandbox: Sandbox, call: Call) -> JsonObject:
    if "customer" not in call.params:
        raise missing_parameter("customer")
    return attach(sandbox, _find(sandbox, call), call.params["customer"], call.cause)


def _detach(sandbox: Sandbox, call: Call) -> JsonObject:
    return detach(sandbox, _find(sandbox, call), call.cause)


ROUTES = [
    Route("GET", _PATH, _list, PaymentMethodListParams),
    Route("GET", _PATH + "/{method}", _find, PaymentMethodRetrieveParams),
    Route("POST", _PATH + "/{method}/attach", _attach, PaymentMethodAttachParams),
    Route("POST", _PATH + "/{method}/detach", _detach, PaymentMethodDetachParams),
]
