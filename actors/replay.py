"""Handling an event again because an operator asks for it.

``events.replay`` (``paywindow events replay``): the event is put back into the state in which it came, and handled at once the
way it would have been then. Handlers are idempotent, so an event that was applied already changes nothing: money is known by
its charge or refund, a decline without a charge by its moment (``models/declines.py``), a page by its attempt. A second run
finds the operation's outcome; one after a crash begins again, which is as harmless.
"""

import uuid
from typing import Any

from paywindow import clock
from paywindow.actors import events
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.models import event_lists, inbox, operations, outbox
from paywindow.models.database import transaction
from paywindow.models.tables import Operation, StripeEvent


@actor("events.replay")
def replay(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Handle an event of the inbox again; the outcome says how that ended."""
    operation, event_id = uuid.UUID(operation_id), request["event_id"]
    try:
        with transaction():
            row = operations.begin(operation, "events.replay", client, fingerprint, request, clock.now())
            ready = _reopened(row, event_id)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if not ready:
        return
    events.handle(event_id)
    with transaction():
        row = Operation.select().where(Operation.id == operation).for_update().get()
        if row.outcome is None:
            event = StripeEvent.get_by_id(event_id)
            attempt = event_lists.attempt_of(event)
            row.session = None if attempt is None else attempt.session
            operations.finish(row, 200, {"event": event_lists.public(event)}, clock.now())


def _reopened(row: Operation, event_id: str) -> bool:
    """Put the event back, or answer why not; false when there is nothing left to do."""
    at = clock.now()
    if row.outcome is not None:
        outbox.follow_up("publish.operation", at, operation_id=str(row.id))
        return False
    event = StripeEvent.select().where(StripeEvent.id == event_id).for_update().get_or_none()
    if event is None:
        operations.refuse(row, Problem("not_found", f"There is no event {event_id} in the inbox."), at)
        return False
    if event.body is None:
        gone = f"The body of {event_id} is no longer kept; Stripe's dashboard may still have it."
        operations.refuse(row, Problem("not_found", gone), at)
        return False
    inbox.reopen(event, at)
    return True
