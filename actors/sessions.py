"""Answering ``GET /payments/sessions``, which no snapshot holds."""

import uuid
from typing import Any

from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.models import session_lists
from paywindow.models.database import transaction
from paywindow.published import Outcome


@actor("sessions.find")
def find(reply_id: str, query: dict[str, Any]) -> None:
    """Reply with the page of sessions that the query asks for. Reads only; a second run replies again."""
    with transaction():
        body = session_lists.page(query)
    runtime().publisher.reply(uuid.UUID(reply_id), Outcome(200, body, "", ""))
