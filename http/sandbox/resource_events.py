"""``/v1/events`` (https://docs.stripe.com/api/events): 30 days back, filtered by type, time and delivery."""

from stripe.params import EventListParams, EventRetrieveParams

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid, no_such
from paywindow.sandbox.events import type_matches
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_KEPT_SECONDS = 30 * 24 * 3600
_MAXIMUM_TYPES = 20


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    event = sandbox.store.get("event", call.ids["event"])
    if event["created"] <= sandbox.clock.now() - _KEPT_SECONDS:
        raise no_such("event", event["id"])
    return event


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    patterns = _patterns(params)
    oldest = sandbox.clock.now() - _KEPT_SECONDS
    delivered: bool | None = params.get("delivery_success")

    def matches(event: JsonObject) -> bool:
        return (
            event["created"] > oldest
            and type_matches(event["type"], patterns)
            and created_matches(event, params.get("created"))
            and delivered in (None, event["pending_webhooks"] == 0)
        )

    return list_page(sandbox.store.newest_first("event"), params, "/v1/events", matches)


def _patterns(params: JsonObject) -> list[str]:
    if "type" in params and "types" in params:
        raise invalid("You may only specify one of these parameters: type, types.", "type")
    types: list[str] = params.get("types", [params["type"]] if "type" in params else ["*"])
    if len(types) > _MAXIMUM_TYPES:
        raise invalid(f"You may only specify up to {_MAXIMUM_TYPES} types.", "types")
    return types


ROUTES = [
    Route("GET", "/v1/events", _list, EventListParams),
    Route("GET", "/v1/events/{event}", _find, EventRetrieveParams),
]
