"""An index for what is measured every few seconds: payments that Stripe still confirms."""

from typing import Any

INDEX = "CREATE INDEX payment_sessions_processing ON payment_sessions (updated_at) WHERE status = 'processing'"


def up(migrator: Any, db: Any) -> None:
    """Create it."""
    del migrator
    db.execute_sql(INDEX)
