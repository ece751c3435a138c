"""The outbox: work that must follow a change, written in the change's own transaction.

The message is sent right after the commit; if that is lost (a crash, Redis down or wiped), the sweep sends it again, each
time after twice the wait. The consumer deletes the row in its own commit, so a row that is there is work still to do.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dramatiq import Message
from peewee import SQL

from paywindow import jsons, messages
from paywindow.models.claims import claim_due
from paywindow.models.database import before_commit, database, send_after_commit
from paywindow.models.tables import Outbox

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=1)


def follow_up(actor: str, at: datetime, **arguments: Any) -> None:
    """Have ``actor`` run with ``arguments`` once the current transaction has committed, and until it has succeeded."""
    before_commit(_write, {"actor": actor, "arguments": jsons.dumps(arguments), "created_at": at})


def _write(rows: list[dict[str, Any]]) -> None:
    """All of a transaction's rows at once; their ids are read, because each goes with its message."""
    values = [value for row in rows for value in (*row.values(), row["created_at"] + FIRST_WAIT)]
    marks = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    text = (
        f"INSERT INTO outbox (actor, arguments, created_at, next_send_at) VALUES {marks} RETURNING id, actor, arguments"  # noqa: S608
    )
    for outbox_id, actor, arguments in sorted(database.execute_sql(text, values).fetchall()):
        send_after_commit(_message(outbox_id, actor, arguments))


def done(*outbox_ids: int | None) -> None:
    """The follow-ups happened: forget them with the current transaction. ``None``: one that has no outbox row."""
    known = [each for each in outbox_ids if each is not None]
    if known:
        database.execute_later("DELETE FROM outbox WHERE id = ANY(%s)", (known,))


def done_if_published(versions: dict[UUID, int], *outbox_ids: int | None) -> list[UUID]:
    """Sessions were published at these versions: forget the follow-ups that asked for it, unless one is newer by now.

    Returns the sessions that are newer, which are to be published again. Redis refuses an older version only as long as it
    remembers the newer one: if it was wiped between the two, whoever read the older may have been the last to write.
    """
    known = [each for each in outbox_ids if each is not None]
    published = ([str(each) for each in versions], [*versions.values()])
    newer = (
        database.execute_sql(_DONE_IF_PUBLISHED, (*published, known))
        if known
        else database.execute_sql(_NEWER, published)
    )
    return [UUID(str(found)) for (found,) in newer.fetchall()]


_NEWER = """
SELECT s.id FROM payment_sessions AS s
JOIN unnest(%s::uuid[], %s::bigint[]) AS published (id, version) ON s.id = published.id
WHERE s.version > published.version
"""
_DONE_IF_PUBLISHED = f"""
WITH newer AS ({_NEWER}), forgotten AS (
    DELETE FROM outbox WHERE id = ANY(%s::bigint[]) AND NOT EXISTS (SELECT FROM newer)
)
SELECT id FROM newer
"""  # noqa: S608


def claim_overdue(at: datetime, limit: int) -> int:
    """Send up to ``limit`` rows whose consumer should long have deleted them; returns how many.

    Each claim pushes the row's next turn away, twice as far every time, so no other sweep sends it meanwhile.
    """
    wait = SQL("%s + LEAST(%s * power(2, LEAST(sends, 20)), %s)", (at, FIRST_WAIT, LONGEST_WAIT))
    rows = claim_due(Outbox, Outbox.next_send_at, at, limit, sends=Outbox.sends + 1, next_send_at=wait)
    for row in sorted(rows, key=lambda row: row.id):
        send_after_commit(_message(row.id, row.actor, row.arguments))
    return len(rows)


def _message(outbox_id: int, actor: str, arguments: str) -> Message[Any]:
    return messages.build(actor, outbox_id=outbox_id, **jsons.loads(arguments))
