"""How every sweep takes its share: due rows, in the order in which they became due, each to one claimant only."""

from datetime import datetime
from typing import Any

from paywindow.models.database import Table


def claim_due(table: type[Table], column: Any, at: datetime, limit: int, *conditions: Any, **changes: Any) -> list[Any]:
    """Claim up to ``limit`` rows whose ``column`` has passed, by writing ``changes``; returns the claimed rows.

    ``changes`` must move ``column`` into the future: that is the lease. Rows that another transaction is claiming are
    skipped, not waited for.
    """
    key: Any = table._meta.primary_key
    due = (
        table.select(key)
        .where(column <= at, *conditions)
        .order_by(column)
        .limit(limit)
        .for_update("FOR UPDATE SKIP LOCKED")  # type: ignore[arg-type] # the stubs know only plain FOR UPDATE
    )
    return list(table.update(**changes).where(key.in_(due)).returning(table).execute())
