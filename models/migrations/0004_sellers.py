"""Sellers' accounts at Stripe, who gets what of a payment, and money that is sent to sellers afterwards."""

from typing import Any

TABLES = """
CREATE TABLE connected_accounts (
    maker_id uuid PRIMARY KEY,
    generation integer NOT NULL DEFAULT 1 CHECK (generation > 0),
    params text NOT NULL,
    first_called_at timestamptz NOT NULL,
    stripe_account_id varchar(255) UNIQUE,
    charges_enabled boolean NOT NULL DEFAULT false,
    payouts_enabled boolean NOT NULL DEFAULT false,
    details_submitted boolean NOT NULL DEFAULT false,
    transfers_capability varchar(16),
    card_payments_capability varchar(16),
    currently_due text NOT NULL DEFAULT '[]',
    past_due text NOT NULL DEFAULT '[]',
    disabled_reason varchar(64),
    current_deadline timestamptz,
    default_currency varchar(3),
    country varchar(2),
    deauthorized_at timestamptz,
    reads_begun bigint NOT NULL DEFAULT 0,
    reads_recorded bigint NOT NULL DEFAULT 0,
    read_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

ALTER TABLE payment_sessions
    ADD COLUMN split varchar(12) CHECK (split IN ('destination', 'collect')),
    ADD COLUMN destination_account varchar(255),
    ADD COLUMN on_behalf_of boolean NOT NULL DEFAULT false,
    ADD CHECK ((split IS NOT DISTINCT FROM 'destination') = (destination_account IS NOT NULL)),
    ADD CHECK (split IS NULL OR (maker_id IS NOT NULL AND platform_fee_minor IS NOT NULL));

ALTER TABLE transactions
    ADD COLUMN stripe_balance_transaction_id varchar(255),
    ADD COLUMN exchange_rate varchar(32),
    ADD COLUMN stripe_application_fee_id varchar(255),
    ADD COLUMN platform_fee_returned_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN destination_account varchar(255),
    ADD COLUMN stripe_transfer_id varchar(255),
    ADD COLUMN transferred_minor bigint NOT NULL DEFAULT 0 CHECK (transferred_minor >= 0),
    ADD COLUMN transfer_reversed_minor bigint NOT NULL DEFAULT 0 CHECK (transfer_reversed_minor >= 0),
    ADD COLUMN figures_due_at timestamptz,
    ADD COLUMN figures_tries integer NOT NULL DEFAULT 0,
    ADD COLUMN share_due_at timestamptz;
CREATE INDEX transactions_figures_due ON transactions (figures_due_at) WHERE figures_due_at IS NOT NULL;
CREATE INDEX transactions_share_due ON transactions (share_due_at) WHERE share_due_at IS NOT NULL;
CREATE INDEX payment_sessions_collected ON payment_sessions (maker_id) WHERE split = 'collect';

CREATE TABLE seller_movements (
    id uuid PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    number integer NOT NULL CHECK (number > 0),
    kind varchar(8) NOT NULL CHECK (kind IN ('transfer', 'reversal')),
    status varchar(8) NOT NULL CHECK (status IN ('claimed', 'done', 'refused')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(3) NOT NULL,
    destination_account varchar(255) NOT NULL,
    idempotency_key varchar(255) NOT NULL UNIQUE,
    first_called_at timestamptz NOT NULL,
    stripe_transfer_id varchar(255),
    stripe_reversal_id varchar(255),
    last_error text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (transaction_id, number),
    CHECK (kind = 'transfer' OR stripe_transfer_id IS NOT NULL)
);
CREATE UNIQUE INDEX one_movement_at_a_time ON seller_movements (transaction_id) WHERE status = 'claimed';
"""


def up(migrator: Any, db: Any) -> None:
    """Create the tables, and the columns of sessions and transactions."""
    del migrator
    db.execute_sql(TABLES)
