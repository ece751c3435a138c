"""What each event is about, and the indexes by which an operator finds events, documents, held refunds and the commands
of a session.
"""

from typing import Any

CHANGES = """
ALTER TABLE stripe_events ADD COLUMN object_id varchar(255);
UPDATE stripe_events SET object_id = body::jsonb #>> '{data,object,id}' WHERE body IS NOT NULL;
-- One index for both: an event belongs to a payment, or, before there is one, to its Checkout Session.
CREATE INDEX stripe_events_about ON stripe_events (COALESCE(payment_intent_id, object_id));
CREATE INDEX stripe_events_by_time ON stripe_events (received_at, id);
CREATE INDEX receipts_by_time ON receipts (issued_at, id);
CREATE INDEX refunds_held ON refunds (created_at) WHERE status = 'held';
CREATE INDEX operations_by_session ON operations (session_id, created_at) WHERE session_id IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    """Add the column, fill it from the bodies that are kept, and create the indexes."""
    del migrator
    db.execute_sql(CHANGES)
