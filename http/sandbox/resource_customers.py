"""``/v1/customers`` (https://docs.stripe.com/api/customers), and the payment methods of one."""

from stripe.params import (
    CustomerCreateParams,
    CustomerDeleteParams,
    CustomerListParams,
    CustomerListPaymentMethodsParams,
    CustomerRetrieveParams,
    CustomerRetrievePaymentMethodParams,
    CustomerUpdateParams,
)

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.customers import create_customer, delete_customer, living_customer, update_customer
from paywindow.sandbox.errors import no_such, unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/customers"
_METHODS = _PATH + "/{customer}/payment_methods"
_FILTERS = frozenset(["created", "email", "ending_before", "expand", "limit", "starting_after"])


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    return create_customer(sandbox, call.params, call.cause)


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    """Also one that was deleted: what is left of it."""
    return sandbox.store.get("customer", call.ids["customer"])


def _update(sandbox: Sandbox, call: Call) -> JsonObject:
    return update_customer(sandbox, call.ids["customer"], call.params, call.cause)


def _delete(sandbox: Sandbox, call: Call) -> JsonObject:
    return delete_customer(sandbox, call.ids["customer"], call.cause)


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    for name in params:
        if name not in _FILTERS:
            raise unsupported(name)

    def matches(customer: JsonObject) -> bool:
        return (
            not customer.get("deleted")
            and created_matches(customer, params.get("created"))
            and params.get("email") in (None, customer["email"])
        )

    return list_page(sandbox.store.newest_first("customer"), params, _PATH, matches)


def _list_methods(sandbox: Sandbox, call: Call) -> JsonObject:
    customer, params = living_customer(sandbox.store, call.ids["customer"]), call.params

    def matches(method: JsonObject) -> bool:
        return (
            method["customer"] == customer["id"]
            and params.get("type") in (None, method["type"])
            and params.get("allow_redisplay") in (None, method["allow_redisplay"])
        )

    url = _METHODS.format(customer=customer["id"])
    return list_page(sandbox.store.newest_first("payment_method"), params, url, matches)


def _find_method(sandbox: Sandbox, call: Call) -> JsonObject:
    customer = living_customer(sandbox.store, call.ids["customer"])
    method = sandbox.store.get("payment_method", call.ids["method"], "payment_method")
    if method["customer"] != customer["id"]:
        raise no_such("payment_method", method["id"], "payment_method")
    return method


ROUTES = [
    Route("POST", _PATH, _create, CustomerCreateParams),
    Route("GET", _PATH, _list, CustomerListParams),
    Route("GET", _PATH + "/{customer}", _find, CustomerRetrieveParams),
    Route("POST", _PATH + "/{customer}", _update, CustomerUpdateParams),
    Route("DELETE", _PATH + "/{customer}", _delete, CustomerDeleteParams),
    Route("GET", _METHODS, _list_methods, CustomerListPaymentMethodsParams),
    Route("GET", _METHODS + "/{method}", _find_method, CustomerRetrievePaymentMethodParams),
]
