"""An index by which the movements of a transfer are found: the comparison with Stripe asks for them, transfer by transfer."""

from typing import Any

INDEX = """
CREATE INDEX seller_movements_by_transfer ON seller_movements (stripe_transfer_id) WHERE stripe_transfer_id IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    """Create it."""
    del migrator
    db.execute_sql(INDEX)
