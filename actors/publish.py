"""Publishing to Redis what the front end reads.

``publish.session`` and ``publish.operation`` (outbox, or the front end after a miss). They read the rows as they are now, so a
late or doubled message publishes the newest state; the script in Redis refuses an older version. The worker that commits a
change publishes it itself; the message is for when that fails.
"""

import uuid

from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.models import operations, outbox
from paywindow.models.database import connection
from paywindow.models.snapshots import snapshot
from paywindow.models.tables import Operation, PaymentSession


@actor("publish.session")
def publish_session(session_id: str, outbox_id: int | None = None) -> None:
    """Write the session's snapshot, or a short note that there is no such session."""
    identifier = uuid.UUID(session_id)
    with connection():
        session = PaymentSession.read_one("WHERE id = %s", identifier)
        found = None if session is None else snapshot(session, runtime().settings)
    if found is None:
        runtime().publisher.unknown_session(identifier)
    else:
        runtime().publisher.session(identifier, found)
    _forget(outbox_id)


@actor("publish.operation")
def publish_operation(operation_id: str, outbox_id: int | None = None) -> None:
    """Write the outcome of a finished operation."""
    identifier = uuid.UUID(operation_id)
    with connection():
        outcome = operations.outcome(Operation.get_by_id(identifier))
    if outcome is not None:
        runtime().publisher.outcome(identifier, outcome)
    _forget(outbox_id)


#: Somebody waits to see it: another trip through the queue would take longer than the work. The session comes first, so that
#: whoever has the answer to a command can read what it did.
AT_ONCE = {"publish.session": publish_session, "publish.operation": publish_operation}


def _forget(outbox_id: int | None) -> None:
    if outbox_id is not None:
        with connection():
            outbox.done(outbox_id)
