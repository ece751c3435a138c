"""The outbox: work that must follow a change, written in the change's own transaction.

The message is sent right after the commit; if that is lost (a crash, Redis down or wiped), the sweep sends it again, each
time after twice the wait. The consumer deletes the row in its own commit, so a row that is there is work still to do.
"""

from datetime import datetime, timedelta
from typing import Any

from dramatiq import Message
from peewee import SQL

from paywindow import jsons, messages
from paywindow.models.claims import claim_due
from paywindow.models.database import database, send_after_commit
from paywindow.models.tables import Outbox

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=1)


def follow_up(actor: str, at: datetime, **arguments: Any) -> None:
    """Have ``actor`` run with ``arguments`` once the current transaction has committed, and until it has succeeded."""
    row = Outbox.create(actor=actor, arguments=jsons.dumps(arguments), created_at=at, next_send_at=at + FIRST_WAIT)
    send_after_commit(_message(row))


def done(outbox_id: int | None) -> None:
    """The follow-up happened: forget it with the current transaction. ``None``: it was asked for without an outbox row."""
    if outbox_id is not None:
        database.execute_sql("DELETE FROM outbox WHERE id = %s", (outbox_id,))


def claim_overdue(at: datetime, limit: int) -> int:
    """Send up to ``limit`` rows whose consumer should long have deleted them; returns how many.

    Each claim pushes the row's next turn away, twice as far every time, so no other sweep sends it meanwhile.
    """
    wait = SQL("%s + LEAST(%s * power(2, LEAST(sends, 20)), %s)", (at, FIRST_WAIT, LONGEST_WAIT))
    rows = claim_due(Outbox, Outbox.next_send_at, at, limit, sends=Outbox.sends + 1, next_send_at=wait)
    for row in sorted(rows, key=lambda row: row.id):
        send_after_commit(_message(row))
    return len(rows)


def _message(row: Outbox) -> Message[Any]:
    return messages.build(row.actor, outbox_id=row.id, **jsons.loads(row.arguments))
