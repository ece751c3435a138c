"""Webhook endpoints: the object, and its secrets, which Stripe shows once (https://docs.stripe.com/api/webhook_endpoints)."""

from collections.abc import Sequence

from paywindow.sandbox.events import API_VERSION
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.store import EndpointPrivate, Store


def add_endpoint(
    store: Store,
    url: str,
    enabled_events: list[str],
    *,
    secrets: Sequence[str],
    created: int,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> JsonObject:
    """Register an endpoint that gets the events of ``enabled_events`` from now on."""
    endpoint: JsonObject = {
        "id": new_id("we_1"),
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": created,
        "description": description,
        "enabled_events": enabled_events,
        "livemode": False,
        "metadata": metadata or {},
        "status": "enabled",
        "url": url,
    }
    store.endpoints[endpoint["id"]] = EndpointPrivate(list(secrets))
    return store.add(endpoint)


def roll_secret(store: Store, endpoint_id: str, secret: str | None, *, keep_old: bool) -> list[str]:
    """Give an endpoint a new secret. While ``keep_old``, deliveries carry a signature for the old one too."""
    private = store.endpoints[store.get("webhook_endpoint", endpoint_id)["id"]]
    private.secrets = [secret or new_id("whsec"), *(private.secrets[:1] if keep_old else [])]
    return private.secrets
