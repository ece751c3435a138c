"""``/v1/webhook_endpoints`` (https://docs.stripe.com/api/webhook_endpoints). The secret is shown once, on creation."""

from stripe.params import (
    WebhookEndpointCreateParams,
    WebhookEndpointDeleteParams,
    WebhookEndpointListParams,
    WebhookEndpointRetrieveParams,
)

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.endpoints import add_endpoint
from paywindow.sandbox.errors import invalid, unsupported
from paywindow.sandbox.events import API_VERSION
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.metadata import checked_metadata
from paywindow.sandbox.pagination import list_page
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/webhook_endpoints"


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    if not params["url"].startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    if params.get("api_version", API_VERSION) != API_VERSION:
        raise unsupported("api_version", f"value {params['api_version']} of the parameter")
    if params.get("connect"):
        raise unsupported("connect")
    secret = new_id("whsec")
    endpoint = add_endpoint(
        sandbox.store,
        params["url"],
        params["enabled_events"],
        secrets=[secret],
        created=sandbox.clock.now(),
        description=params.get("description"),
        metadata=checked_metadata(params.get("metadata") or {}),
    )
    return {**endpoint, "secret": secret}


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("webhook_endpoint", call.ids["endpoint"], "webhook_endpoint")


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    return list_page(sandbox.store.newest_first("webhook_endpoint"), call.params, _PATH, lambda _: True)


def _delete(sandbox: Sandbox, call: Call) -> JsonObject:
    endpoint = _find(sandbox, call)
    sandbox.store.remove("webhook_endpoint", endpoint["id"])
    del sandbox.store.endpoints[endpoint["id"]]
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


ROUTES = [
    Route("POST", _PATH, _create, WebhookEndpointCreateParams),
    Route("GET", _PATH, _list, WebhookEndpointListParams),
    Route("GET", _PATH + "/{endpoint}", _find, WebhookEndpointRetrieveParams),
    Route("DELETE", _PATH + "/{endpoint}", _delete, WebhookEndpointDeleteParams),
]
