"""How far Stripe's list of events was read, and the comparisons of the books with Stripe."""

from typing import Any

TABLES = """
CREATE TABLE event_walks (
    livemode boolean PRIMARY KEY,
    walked_until timestamptz NOT NULL,
    part_since timestamptz,
    part_until timestamptz,
    after_event_id varchar(255),
    steps bigint NOT NULL DEFAULT 0,
    lost_since timestamptz,
    lost_until timestamptz,
    updated_at timestamptz NOT NULL,
    CHECK ((part_since IS NULL) = (part_until IS NULL)),
    CHECK (part_since IS NOT NULL OR after_event_id IS NULL),
    CHECK ((lost_since IS NULL) = (lost_until IS NULL))
);

CREATE TABLE reconciliations (
    id uuid PRIMARY KEY,
    who varchar(128) NOT NULL,
    livemode boolean NOT NULL,
    repairs boolean NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    stage varchar(32) NOT NULL,
    after varchar(255),
    reached_at timestamptz,
    steps bigint NOT NULL DEFAULT 0,
    compared bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK (since < until)
);
CREATE INDEX reconciliations_by_who ON reconciliations (who, started_at);

CREATE TABLE reconciliation_seen (
    reconciliation_id uuid NOT NULL REFERENCES reconciliations (id) ON DELETE CASCADE,
    stripe_id varchar(255) NOT NULL,
    PRIMARY KEY (reconciliation_id, stripe_id)
);

CREATE TABLE reconciliation_findings (
    reconciliation_id uuid NOT NULL REFERENCES reconciliations (id) ON DELETE CASCADE,
    code varchar(64) NOT NULL,
    subject varchar(255) NOT NULL,
    session_id uuid,
    ours text NOT NULL,
    theirs text NOT NULL,
    outcome varchar(16) NOT NULL CHECK (outcome IN ('repairable', 'repaired', 'held', 'left')),
    note text,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (reconciliation_id, code, subject)
);

CREATE INDEX checkout_attempts_by_time ON checkout_attempts (created_at, id) WHERE stripe_checkout_id IS NOT NULL;
CREATE INDEX transactions_by_time ON transactions (processed_at, id) WHERE status <> 'failed';
CREATE INDEX refunds_by_time ON refunds (created_at, id);
CREATE INDEX disputes_by_time ON disputes (opened_at, id);
CREATE INDEX seller_movements_by_time ON seller_movements (created_at, id);
"""


def up(migrator: Any, db: Any) -> None:
    """Create the tables, and the indexes by which the books are read in the order of time."""
    del migrator
    db.execute_sql(TABLES)
