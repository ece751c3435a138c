"""Indexes in the order in which sessions are listed: newest first, by creation and then id."""

from typing import Any

INDEXES = """
DROP INDEX payment_sessions_held;
CREATE INDEX payment_sessions_listed ON payment_sessions (created_at, id);
CREATE INDEX payment_sessions_listed_by_status ON payment_sessions (status, created_at, id);
CREATE INDEX payment_sessions_listed_by_maker ON payment_sessions (maker_id, created_at, id) WHERE maker_id IS NOT NULL;
CREATE INDEX payment_sessions_listed_held ON payment_sessions (created_at, id) WHERE hold_reason IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    """Create them; auctions and buyers have theirs. The last one takes the place of the one by the reason of a hold."""
    del migrator
    db.execute_sql(INDEXES)
