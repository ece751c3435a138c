"""``/v1/refunds`` (https://docs.stripe.com/api/refunds), and the refunds of one charge."""

from stripe.params import (
    ChargeListRefundsParams,
    ChargeRetrieveRefundParams,
    RefundCancelParams,
    RefundCreateParams,
    RefundListParams,
    RefundRetrieveParams,
    RefundUpdateParams,
)

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid, no_such
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.refunds import cancel_refund, create_refund, update_refund
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/refunds"
_CHARGE_PATH = "/v1/charges/{charge}/refunds"


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    return create_refund(sandbox, call.params, cause=call.cause)


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("refund", call.ids["refund"], "refund")


def _update(sandbox: Sandbox, call: Call) -> JsonObject:
    return update_refund(sandbox, _find(sandbox, call), call.params, call.cause)


def _cancel(sandbox: Sandbox, call: Call) -> JsonObject:
    """Only what waits for the buyer: a pending card refund can be canceled in the dashboard alone."""
    refund = _find(sandbox, call)
    if refund["status"] != "requires_action":
        raise invalid("Canceling this refund is unsupported.")
    return cancel_refund(sandbox, refund, cause=call.cause)


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params

    def matches(refund: JsonObject) -> bool:
        return (
            created_matches(refund, params.get("created"))
            and params.get("charge") in (None, refund["charge"])
            and params.get("payment_intent") in (None, refund["payment_intent"])
        )

    return list_page(sandbox.store.newest_first("refund"), params, _PATH, matches)


def _list_of_charge(sandbox: Sandbox, call: Call) -> JsonObject:
    charge = sandbox.store.get("charge", call.ids["charge"])
    url = _CHARGE_PATH.format(charge=charge["id"])
    return list_page(
        sandbox.store.newest_first("refund"), call.params, url, lambda refund: bool(refund["charge"] == charge["id"])
    )


def _find_of_charge(sandbox: Sandbox, call: Call) -> JsonObject:
    refund = _find(sandbox, call)
    if refund["charge"] != call.ids["charge"]:
        raise no_such("refund", refund["id"], "refund")
    return refund


ROUTES = [
    Route("POST", _PATH, _create, RefundCreateParams),
    Route("GET", _PATH, _list, RefundListParams),
    Route("GET", _PATH + "/{refund}", _find, RefundRetrieveParams),
    Route("POST", _PATH + "/{refund}", _update, RefundUpdateParams),
    Route("POST", _PATH + "/{refund}/cancel", _cancel, RefundCancelParams),
    Route("GET", _CHARGE_PATH, _list_of_charge, ChargeListRefundsParams),
    Route("GET", _CHARGE_PATH + "/{refund}", _find_of_charge, ChargeRetrieveRefundParams),
]
