"""Buyers as Stripe's customers with the payment methods that they keep there, and disputes of payments."""

from typing import Any

TABLES = """
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    buyer_id uuid NOT NULL,
    livemode boolean NOT NULL,
    idempotency_key varchar(255) NOT NULL UNIQUE,
    email text,
    stripe_customer_id varchar(255) UNIQUE,
    default_method varchar(255),
    changes bigint NOT NULL DEFAULT 0,
    first_called_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX one_customer_per_buyer ON customers (buyer_id, livemode) WHERE deleted_at IS NULL;

CREATE TABLE payment_methods (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    buyer_id uuid NOT NULL,
    stripe_payment_method_id varchar(255) NOT NULL UNIQUE,
    type varchar(16) NOT NULL CHECK (type IN ('card', 'applePay', 'googlePay', 'bankTransfer', 'other')),
    stripe_type varchar(64) NOT NULL,
    brand varchar(64),
    last4 varchar(4),
    exp_month integer CHECK (exp_month BETWEEN 1 AND 12),
    exp_year integer,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    detached_at timestamptz
);
CREATE INDEX payment_methods_kept ON payment_methods (buyer_id, created_at) WHERE detached_at IS NULL;
CREATE INDEX payment_methods_by_customer ON payment_methods (customer_id) WHERE detached_at IS NULL;

CREATE TABLE disputes (
    id uuid PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    stripe_dispute_id varchar(255) NOT NULL UNIQUE,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(3) NOT NULL,
    status varchar(32) NOT NULL,
    reason varchar(64) NOT NULL,
    refundable boolean NOT NULL,
    evidence_due_at timestamptz,
    withdrawn boolean NOT NULL DEFAULT false,
    reinstated boolean NOT NULL DEFAULT false,
    fee_minor bigint NOT NULL DEFAULT 0,
    net_minor bigint NOT NULL DEFAULT 0,
    balance_currency varchar(3),
    changes bigint NOT NULL DEFAULT 0,
    told text,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (withdrawn OR NOT reinstated)
);
CREATE INDEX disputes_by_transaction ON disputes (transaction_id, opened_at);
CREATE INDEX disputes_open ON disputes (evidence_due_at) WHERE closed_at IS NULL;
"""


def up(migrator: Any, db: Any) -> None:
    """Create the tables."""
    del migrator
    db.execute_sql(TABLES)
