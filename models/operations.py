"""Operations: commands of the API, recorded when their actor starts, answered in the transaction of their effect."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from paywindow import jsons, logs
from paywindow.errors import PaywindowError, Problem, StripeRefused
from paywindow.messages import build
from paywindow.models import claims, outbox
from paywindow.models.database import send_after_commit
from paywindow.models.tables import Operation
from paywindow.published import Outcome

#: How long an operation without an outcome is left to the message that brought it.
LEASE = timedelta(seconds=30)
_LONGEST_BACKOFF = timedelta(minutes=15)
#: Commands that are answered when their session's page opens.
_WAITS_FOR_PAGE = ("checkout.create", "payment.retry", "window.reopen")


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
    logs.bind(operation_id=operation_id)
    recorded = Operation.create_if_new(
        id=operation_id,
        kind=kind,
        client=client,
        fingerprint=fingerprint,
        request=jsons.canonical(request),
        created_at=at,
        next_try_at=at + LEASE,
    )
    operation = recorded or _locked(operation_id)
    if operation.fingerprint != fingerprint:
        problem = Problem("idempotency_key_reused", "Use a new Idempotency-Key for a request with another body.")
        raise KeyReused(Outcome(problem.status, problem.body(), client, fingerprint))
    return operation


def finish(operation: Operation, status: int, body: dict[str, Any], at: datetime) -> None:
    """Set the outcome; it is published once the current transaction has committed."""
    outcome = Outcome(status, body, operation.client, operation.fingerprint)
    operation.outcome, operation.finished_at = outcome.encode(), at
    Operation.change(operation.id, outcome=operation.outcome, finished_at=at, session=operation.session_id)
    outbox.follow_up("publish.operation", at, operation_id=str(operation.id))


def refuse(operation: Operation, problem: Problem, at: datetime) -> None:
    """Set a refusal as the outcome."""
    finish(operation, problem.status, problem.body(), at)


def refuse_for_stripe(operation: Operation, session_id: uuid.UUID, refusal: StripeRefused, at: datetime) -> None:
    """Stripe said no to what the command needs: nothing was changed, and trying again would not help."""
    row = _locked(operation.id)
    if row.outcome is None:
        code = refusal.code or "stripe_refused"
        problem = Problem(
            "stripe_refused", str(refusal), sessionId=str(session_id), stripeCode=code, param=refusal.param
        )
        refuse(row, problem, at)


def _locked(operation_id: uuid.UUID) -> Operation:
    """The operation's row, locked until the transaction ends."""
    row = Operation.read_one("WHERE id = %s FOR UPDATE", operation_id)
    if row is None:
        raise LookupError(f"there is no operation {operation_id}")
    return row


def outcome(operation: Operation) -> Outcome | None:
    """The recorded answer, if there is one."""
    return None if operation.outcome is None else Outcome.decode(operation.outcome)


def unfinished_of(session_id: uuid.UUID) -> list[Operation]:
    """The operations that wait for the session's page, oldest first, locked."""
    return list(
        Operation.select()
        .where(Operation.session == session_id, Operation.outcome.is_null(), Operation.kind.in_(_WAITS_FOR_PAGE))
        .order_by(Operation.created_at, Operation.id)
        .for_update()
    )


def is_first_create(operation: Operation) -> bool:
    """Whether this command made its session: the oldest create of it, which is answered 201."""
    earlier = Operation.select().where(
        Operation.session == operation.session_id,
        Operation.kind == "checkout.create",
        (Operation.created_at < operation.created_at)
        | ((Operation.created_at == operation.created_at) & (Operation.id < operation.id)),
    )
    return operation.kind == "checkout.create" and not earlier.exists()


def claim_due(at: datetime, limit: int) -> int:
    """Send up to ``limit`` commands again that should long have an outcome: Stripe failed, or their message was lost.

    One that has its session already waits for a page or a refund, and is answered by whoever goes on with that. Each claim
    doubles the wait before the next. Returns how many.
    """
    rows = claims.claim_due(
        Operation,
        Operation.next_try_at,
        at,
        limit,
        Operation.outcome.is_null(),
        Operation.session.is_null(),
        tries=Operation.tries + 1,
        next_try_at=SQL("%s + LEAST(%s * power(2, LEAST(tries, 20)), %s)", (at, LEASE, _LONGEST_BACKOFF)),
    )
    for row in rows:
        command = build(
            row.kind,
            operation_id=str(row.id),
            client=row.client,
            fingerprint=row.fingerprint,
            request=jsons.loads(row.request),
        )
        send_after_commit(command)
    return len(rows)
