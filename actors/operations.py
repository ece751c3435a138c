"""Answering ``GET /payments/operations/{id}`` when the outcome is not in Redis (any more)."""

import uuid

from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.models import operations
from paywindow.models.database import transaction
from paywindow.models.tables import Operation
from paywindow.published import Outcome


@actor("operations.find")
def find(reply_id: str, operation_id: str, client: str) -> None:
    """Reply with the outcome, a 202 while there is none, or a 404. Reads only; a second run replies again."""
    with transaction():
        row = Operation.get_or_none(Operation.id == uuid.UUID(operation_id), Operation.client == client)
        outcome = None if row is None else operations.outcome(row)
    if row is None:
        problem = Problem("not_found", "There is no such operation.")
        outcome = Outcome(problem.status, problem.body(), client, "")
    elif outcome is None:
        outcome = Outcome(202, {"operation": {"id": str(row.id), "status": "pending"}}, client, row.fingerprint)
    runtime().publisher.reply(uuid.UUID(reply_id), outcome)
