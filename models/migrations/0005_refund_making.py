"""Refunds that are made here: claimed before Stripe is called, with their own due column; and the holds of sessions."""

from typing import Any

TABLES = """
ALTER TABLE refunds
    ALTER COLUMN stripe_refund_id DROP NOT NULL,
    ADD COLUMN operation_id uuid UNIQUE REFERENCES operations (id),
    ADD COLUMN made_by varchar(128) NOT NULL DEFAULT 'stripe',
    ADD COLUMN why text,
    ADD COLUMN release_auction boolean NOT NULL DEFAULT false,
    ADD COLUMN params text,
    ADD COLUMN first_called_at timestamptz,
    ADD COLUMN next_try_at timestamptz,
    ADD COLUMN tries integer NOT NULL DEFAULT 0,
    ADD COLUMN last_error text,
    DROP CONSTRAINT refunds_status_check,
    ADD CONSTRAINT refunds_status_check CHECK (
        status IN ('claimed', 'held', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    ADD CONSTRAINT refunds_are_ours_or_stripes CHECK (stripe_refund_id IS NOT NULL OR params IS NOT NULL),
    ADD CONSTRAINT claimed_refunds_are_due CHECK ((status = 'claimed') = (next_try_at IS NOT NULL));
CREATE INDEX refunds_due ON refunds (next_try_at) WHERE status = 'claimed';

CREATE INDEX payment_sessions_held ON payment_sessions (hold_reason) WHERE hold_reason IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    """Widen the table, and index what is unfinished."""
    del migrator
    db.execute_sql(TABLES)
