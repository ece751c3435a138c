"""Refunds, as Stripe tells of them, and the credit notes that follow from them."""

from typing import Any

TABLES = """
CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    stripe_refund_id varchar(255) NOT NULL UNIQUE,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(3) NOT NULL,
    status varchar(16) NOT NULL CHECK (status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    reason varchar(64),
    failure_reason varchar(64),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX refunds_by_transaction ON refunds (transaction_id, created_at);

ALTER TABLE receipts ADD COLUMN refund_id uuid UNIQUE REFERENCES refunds (id);
ALTER TABLE receipts ADD CONSTRAINT credit_notes_are_for_refunds CHECK ((kind = 'credit_note') = (refund_id IS NOT NULL));
"""


def up(migrator: Any, db: Any) -> None:
    """Create the table, and tie credit notes to it."""
    del migrator
    db.execute_sql(TABLES)
