"""An index by which sellers' movements that Stripe refused are found: they are counted every few seconds."""

from typing import Any

INDEX = "CREATE INDEX seller_movements_refused ON seller_movements (finished_at) WHERE status = 'refused'"


def up(migrator: Any, db: Any) -> None:
    """Create it."""
    del migrator
    db.execute_sql(INDEX)
