"""Publishing to Redis what the front end reads.

``publish.session`` and ``publish.operation`` (outbox, or the front end after a miss). They read the rows as they are now, so a
late or doubled message publishes the newest state; the script in Redis refuses an older version, and whoever has published
looks whether there is a newer one by now. The worker that commits a change publishes it itself; the message is for when that
fails.
"""

import logging
import uuid
from collections import defaultdict

from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.models import operations, outbox
from paywindow.models.database import Sending, connection
from paywindow.models.snapshots import snapshot
from paywindow.models.tables import Operation, PaymentSession

logger = logging.getLogger(__name__)


@actor("publish.session")
def publish_session(session_id: str, outbox_id: int | None = None) -> None:
    """Write the session's snapshot, or a short note that there is no such session."""
    _done(_session(session_id), outbox_id)


@actor("publish.operation")
def publish_operation(operation_id: str, outbox_id: int | None = None) -> None:
    """Write the outcome of a finished operation."""
    _done(_operation(operation_id), outbox_id)


def at_once(sendings: list[Sending]) -> list[Sending]:
    """Publish what a commit changed, on the thread that committed, and return what is left to be sent.

    Somebody waits to see it: another trip through the queue would take longer than the work. What fails is sent like the rest.
    """
    asked: dict[tuple[str, str], list[Sending]] = defaultdict(list)
    left: list[Sending] = []
    for sending in sendings:
        message, _ = sending
        if message.actor_name in _PUBLISHERS:
            _, subject = _PUBLISHERS[message.actor_name]
            asked[message.actor_name, message.kwargs[subject]].append(sending)
        else:
            left.append(sending)
    versions: dict[uuid.UUID, int] = {}
    published: list[Sending] = []
    # Sessions come first, so that whoever has the answer to a command can read what it did.
    for name, (publish, _) in _PUBLISHERS.items():
        for subject in [subject for actor_name, subject in asked if actor_name == name]:
            try:
                versions |= publish(subject)
                published += asked[name, subject]
            except Exception:
                logger.warning("follow-up left to a message", exc_info=True, extra={"follow_up": name})
                left += asked[name, subject]
    if published:
        try:
            _done(versions, *(message.kwargs.get("outbox_id") for message, _ in published))
        except Exception:
            names = sorted({message.actor_name for message, _ in published})
            logger.warning("follow-up left to a message", exc_info=True, extra={"follow_up": ", ".join(names)})
            left += published
    return left


def _session(session_id: str) -> dict[uuid.UUID, int]:
    """Returns the version that was published; 0 of an unknown session."""
    identifier = uuid.UUID(session_id)
    with connection():
        session = PaymentSession.read_one("WHERE id = %s", identifier)
        found = None if session is None else snapshot(session, runtime().settings)
    if found is None:
        runtime().publisher.unknown_session(identifier)
        return {identifier: 0}
    runtime().publisher.session(identifier, found)
    return {identifier: found.version}


def _operation(operation_id: str) -> dict[uuid.UUID, int]:
    """Returns nothing: an outcome never changes."""
    identifier = uuid.UUID(operation_id)
    with connection():
        outcome = operations.outcome(Operation.get_by_id(identifier))
    if outcome is not None:
        runtime().publisher.outcome(identifier, outcome)
    return {}


#: What publishes, and which argument says what.
_PUBLISHERS = {"publish.session": (_session, "session_id"), "publish.operation": (_operation, "operation_id")}


def _done(versions: dict[uuid.UUID, int], *outbox_ids: int | None) -> None:
    while True:
        with connection():
            newer = outbox.done_if_published(versions, *outbox_ids)
        if not newer:
            return
        versions = {}
        for identifier in newer:
            versions |= _session(str(identifier))
