"""Sellers' statements, numbers by seller, and who downloaded what."""

from typing import Any

TABLES = """
ALTER TABLE receipts DROP CONSTRAINT receipts_kind_check;
ALTER TABLE receipts ADD CONSTRAINT receipts_kind_check CHECK (kind IN ('receipt', 'credit_note', 'statement'));
CREATE UNIQUE INDEX one_statement_per_transaction ON receipts (transaction_id) WHERE kind = 'statement';

CREATE TABLE receipt_makers (
    maker_id uuid PRIMARY KEY,
    ordinal serial NOT NULL UNIQUE
);

CREATE TABLE receipt_downloads (
    id uuid PRIMARY KEY,
    receipt_id uuid NOT NULL REFERENCES receipts (id),
    who varchar(128) NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX receipt_downloads_by_receipt ON receipt_downloads (receipt_id, at);
CREATE TRIGGER receipt_downloads_are_append_only BEFORE UPDATE OR DELETE ON receipt_downloads
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def up(migrator: Any, db: Any) -> None:
    """Let receipts be statements, and create the tables."""
    del migrator
    db.execute_sql(TABLES)
