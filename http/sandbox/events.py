"""The event log: every change leaves an Event with the object as it then was (https://docs.stripe.com/api/events)."""

from collections.abc import Callable
from dataclasses import dataclass

import stripe

from paywindow.sandbox.clock import Clock
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.store import Store

API_VERSION = stripe.api_version
"""The version at which objects are rendered: the SDK's own."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The API request behind an event; empty for what buyers or time did."""

    request_id: str | None = None
    idempotency_key: str | None = None


NO_REQUEST = Cause()


class EventLog:
    """Writes events to the store and hands each to the one listener, the webhook delivery."""

    def __init__(self, store: Store, clock: Clock, listener: Callable[[JsonObject], None]) -> None:
        self._store = store
        self._clock = clock
        self._listener = listener

    def emit(
        self,
        kind: str,
        obj: JsonObject,
        *,
        cause: Cause = NO_REQUEST,
        previous: JsonObject | None = None,
        account: str | None = None,
    ) -> JsonObject:
        """Record that ``kind`` happened to ``obj``.

        ``previous`` holds the old values of an update, ``account`` the connected account where it happened.
        """
        data: JsonObject = {"object": snapshot(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        event: JsonObject = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._clock.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": kind,
        }
        if account is not None:
            event["account"] = account
        self._store.add(event)
        self._listener(event)
        return event


def previous_attributes(before: JsonObject, after: JsonObject) -> JsonObject:
    """The old values of what differs, nested as in the object; null for what was not there."""
    previous: JsonObject = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := previous_attributes(old, new):
                previous[name] = inner
        elif old != new:
            previous[name] = old
    return previous


def type_matches(kind: str, patterns: list[str]) -> bool:
    """Whether an event type is among names and wildcards such as ``*`` or ``charge.*``."""
    return any(
        pattern in ("*", kind) or (pattern.endswith(".*") and kind.startswith(pattern[:-1])) for pattern in patterns
    )
