"""``/v1/disputes`` (https://docs.stripe.com/api/disputes). Buyers' banks open them: see :mod:`.control_disputes`."""

from stripe.params import DisputeCloseParams, DisputeListParams, DisputeRetrieveParams, DisputeUpdateParams

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.disputes import lose, update_dispute
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/disputes"


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("dispute", call.ids["dispute"], "dispute")


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params

    def matches(dispute: JsonObject) -> bool:
        return (
            created_matches(dispute, params.get("created"))
            and params.get("charge") in (None, dispute["charge"])
            and params.get("payment_intent") in (None, dispute["payment_intent"])
        )

    return list_page(sandbox.store.newest_first("dispute"), params, _PATH, matches)


def _update(sandbox: Sandbox, call: Call) -> JsonObject:
    return update_dispute(sandbox, _find(sandbox, call), call.params, call.cause)


def _close(sandbox: Sandbox, call: Call) -> JsonObject:
    """Accept the loss."""
    return lose(sandbox, _find(sandbox, call), call.cause)


ROUTES = [
    Route("GET", _PATH, _list, DisputeListParams),
    Route("GET", _PATH + "/{dispute}", _find, DisputeRetrieveParams),
    Route("POST", _PATH + "/{dispute}", _update, DisputeUpdateParams),
    Route("POST", _PATH + "/{dispute}/close", _close, DisputeCloseParams),
]
