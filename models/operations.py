"""Operations: commands of the API, recorded when their actor starts, answered in the transaction of their effect."""

import uuid
from datetime import datetime
from typing import Any

from paywindow import jsons
from paywindow.errors import PaywindowError, Problem
from paywindow.models import outbox
from paywindow.models.tables import Operation
from paywindow.published import Outcome


class KeyReused(PaywindowError):
    """The same idempotency key came with another request; ``outcome`` is the refusal for that request alone."""

    def __init__(self, outcome: Outcome):
        super().__init__("idempotency key reused")
        self.outcome = outcome


def begin(
    operation_id: uuid.UUID, kind: str, client: str, fingerprint: str, request: dict[str, Any], at: datetime
) -> Operation:
    """Record the operation, or find the one that an earlier run recorded, locked until the transaction ends.

    Raises :class:`KeyReused` when the recorded one asks for something else.
    """
    Operation.insert(
        id=operation_id,
        kind=kind,
        client=client,
        fingerprint=fingerprint,
        request=jsons.canonical(request),
        created_at=at,
    ).on_conflict_ignore().execute()
    operation: Operation = Operation.select().where(Operation.id == operation_id).for_update().get()
    if operation.fingerprint != fingerprint:
        problem = Problem("idempotency_key_reused", "Use a new Idempotency-Key for a request with another body.")
        raise KeyReused(Outcome(problem.status, problem.body(), client, fingerprint))
    return operation


def finish(operation: Operation, status: int, body: dict[str, Any], at: datetime) -> None:
    """Set the outcome; it is published once the current transaction has committed."""
    outcome = Outcome(status, body, operation.client, operation.fingerprint)
    operation.outcome, operation.finished_at = outcome.encode(), at
    operation.save(only=[Operation.outcome, Operation.finished_at, Operation.session])
    outbox.follow_up("publish.operation", at, operation_id=str(operation.id))


def refuse(operation: Operation, problem: Problem, at: datetime) -> None:
    """Set a refusal as the outcome."""
    finish(operation, problem.status, problem.body(), at)


def outcome(operation: Operation) -> Outcome | None:
    """The recorded answer, if there is one."""
    return None if operation.outcome is None else Outcome.decode(operation.outcome)


def unfinished_of(session_id: uuid.UUID) -> list[Operation]:
    """The operations that wait for the session's page, oldest first, locked."""
    return list(
        Operation.select()
        .where(Operation.session == session_id, Operation.outcome.is_null())
        .order_by(Operation.created_at, Operation.id)
        .for_update()
    )
