"""Commands that change something go the way of the API: an operation for the workers, whose outcome is waited for.

So they are audited under the operator's name, happen once however often they are sent, and obey the same rules.
"""

import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paywindow import ids, messages
from paywindow.cli.connections import client_name, open_redis
from paywindow.cli.failures import Refused
from paywindow.errors import Problem
from paywindow.settings import Role, Settings, secret

if TYPE_CHECKING:
    from paywindow.published import Outcome

PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05

Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail and announced.")]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key is the same command: safe to repeat when no answer came."),
]


def perform(actor: str, request: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """Have a worker's ``actor`` do what ``request`` says; the outcome's body.

    Raises :class:`~paywindow.cli.failures.Refused` when the answer is no, and :class:`Problem` ``timed_out`` when none came.
    """
    settings, client = Settings.load(Role.SCHEDULER), client_name()
    key = key or str(uuid.uuid4())
    operation_id = ids.operation_id(client, key)
    fingerprint = ids.fingerprint(actor, request)
    message = messages.command(actor, operation_id, client, fingerprint, request)
    outcome = _run(settings, message, operation_id, fingerprint)
    if outcome is None:
        raise Problem(
            "timed_out",
            f"No worker answered in {PATIENCE_SECONDS:.0f} s; operation {operation_id} may still happen. "
            f"To ask again without doing it twice: --idempotency-key {key}",
            operationId=str(operation_id),
            idempotencyKey=key,
        )
    if outcome.status >= 400:
        raise Refused(outcome.body)
    return outcome.body


def _run(settings: Settings, message: Any, operation_id: uuid.UUID, fingerprint: str) -> "Outcome | None":
    from paywindow.broker import make_broker
    from paywindow.published import Outcome, conflict_key, operation_key

    state = open_redis(settings.state_url)
    make_broker(secret(settings.redis_url)).enqueue(message)
    deadline = time.monotonic() + PATIENCE_SECONDS
    keys = (conflict_key(operation_id, fingerprint), operation_key(operation_id))
    while time.monotonic() < deadline:
        for text in state.mget(keys):
            found = Outcome.decode(text) if text is not None else None
            # The outcome of an earlier request under the same key is not the answer to another request.
            if found is not None and found.fingerprint == fingerprint:
                return found
        time.sleep(_POLL_SECONDS)
    return None
