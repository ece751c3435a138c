"""Looking for card numbers in the database: how far each scan has come, and where it found something, never what."""

from typing import Any

TABLES = """
CREATE TABLE card_scans (
    id uuid PRIMARY KEY,
    who varchar(128) NOT NULL,
    table_name varchar(63),
    after text,
    steps bigint NOT NULL DEFAULT 0,
    rows_read bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK (after IS NULL OR table_name IS NOT NULL)
);
CREATE INDEX card_scans_by_time ON card_scans (started_at);
CREATE INDEX card_scans_finished ON card_scans (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE card_findings (
    scan_id uuid NOT NULL REFERENCES card_scans (id) ON DELETE CASCADE,
    table_name varchar(63) NOT NULL,
    column_name varchar(63) NOT NULL,
    row_key text NOT NULL,
    last_four char(4) NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (scan_id, table_name, column_name, row_key)
);
"""


def up(migrator: Any, db: Any) -> None:
    """Create the tables."""
    del migrator
    db.execute_sql(TABLES)
