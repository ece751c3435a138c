"""Sessions, attempts, operations, transactions, receipts, the inbox, the outbox, notifications and the audit trail.

Written as SQL because half of it is what no column definition says: CHECKs, partial indexes, the one-open-session rule.
"""

from typing import Any

TABLES = """
CREATE TABLE payment_sessions (
    id uuid PRIMARY KEY,
    auction_id uuid NOT NULL,
    buyer_id uuid NOT NULL,
    maker_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    platform_fee_minor bigint CHECK (platform_fee_minor BETWEEN 0 AND amount_minor),
    description text,
    buyer_email text,
    locale text,
    return_url text,
    cancel_url text,
    late_policy varchar(8) NOT NULL CHECK (late_policy IN ('refund', 'accept', 'hold')),
    window_minutes integer NOT NULL CHECK (window_minutes > 0),
    livemode boolean NOT NULL,
    status varchar(16) NOT NULL
        CHECK (status IN ('pending', 'processing', 'failed', 'completed', 'expired', 'canceled')),
    version bigint NOT NULL DEFAULT 1,
    attempt_number integer NOT NULL,
    expires_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    due_tries integer NOT NULL DEFAULT 0,
    retry_count integer NOT NULL DEFAULT 0,
    retries_granted integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    hold_reason varchar(32),
    hold_since timestamptz,
    released_at timestamptz,
    stripe_payment_intent_id varchar(255) UNIQUE,
    failure_code varchar(64),
    failure_message text,
    completed_at timestamptz,
    canceled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((hold_reason IS NULL) = (hold_since IS NULL)),
    CHECK ((status = 'completed') = (completed_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_unreleased_session_per_auction ON payment_sessions (auction_id) WHERE released_at IS NULL;
CREATE INDEX payment_sessions_by_auction ON payment_sessions (auction_id, created_at);
CREATE INDEX payment_sessions_by_buyer ON payment_sessions (buyer_id, created_at);
CREATE INDEX payment_sessions_due ON payment_sessions (due_at)
    WHERE status IN ('pending', 'failed') AND hold_reason IS NULL AND released_at IS NULL;

CREATE TABLE checkout_attempts (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES payment_sessions (id),
    number integer NOT NULL CHECK (number > 0),
    kind varchar(8) NOT NULL CHECK (kind IN ('first', 'retry', 'roll')),
    status varchar(8) NOT NULL CHECK (status IN ('claimed', 'open', 'complete', 'closed', 'refused')),
    params text NOT NULL,
    idempotency_key varchar(255) NOT NULL UNIQUE,
    first_called_at timestamptz,
    next_try_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    stripe_checkout_id varchar(255) UNIQUE,
    stripe_payment_intent_id varchar(255) UNIQUE,
    url text,
    page_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    UNIQUE (session_id, number)
);
CREATE INDEX checkout_attempts_due ON checkout_attempts (next_try_at) WHERE status = 'claimed';

CREATE TABLE operations (
    id uuid PRIMARY KEY,
    client varchar(64) NOT NULL,
    kind varchar(32) NOT NULL,
    fingerprint char(64) NOT NULL,
    request text NOT NULL,
    session_id uuid REFERENCES payment_sessions (id),
    outcome text,
    created_at timestamptz NOT NULL,
    next_try_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    finished_at timestamptz,
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE INDEX operations_unfinished ON operations (session_id) WHERE outcome IS NULL;
CREATE INDEX operations_due ON operations (next_try_at) WHERE outcome IS NULL AND session_id IS NULL;

CREATE TABLE transactions (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES payment_sessions (id),
    attempt_id uuid NOT NULL REFERENCES checkout_attempts (id),
    stripe_payment_intent_id varchar(255) NOT NULL,
    stripe_charge_id varchar(255) UNIQUE,
    status varchar(20) NOT NULL
        CHECK (status IN ('pending', 'succeeded', 'failed', 'refunded', 'partially_refunded')),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency varchar(3) NOT NULL,
    settled_at timestamptz,
    platform_fee_minor bigint,
    stripe_fee_minor bigint,
    stripe_fee_currency varchar(3),
    failure_code varchar(64),
    decline_code varchar(64),
    failure_reason text,
    card_brand varchar(32),
    card_last4 varchar(4),
    buyer_name text,
    buyer_email text,
    buyer_address text,
    created_at timestamptz NOT NULL,
    processed_at timestamptz
);
CREATE UNIQUE INDEX one_success_per_payment_intent ON transactions (stripe_payment_intent_id) WHERE status <> 'failed';
CREATE UNIQUE INDEX one_settlement_per_session ON transactions (session_id) WHERE settled_at IS NOT NULL;
CREATE INDEX transactions_by_session ON transactions (session_id, created_at);

CREATE TABLE receipt_counters (
    series varchar(64) PRIMARY KEY,
    last_number bigint NOT NULL CHECK (last_number >= 0)
);

CREATE TABLE receipts (
    id uuid PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    session_id uuid NOT NULL REFERENCES payment_sessions (id),
    kind varchar(16) NOT NULL CHECK (kind IN ('receipt', 'credit_note')),
    series varchar(64) NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    receipt_number varchar(50) NOT NULL UNIQUE,
    buyer_id uuid NOT NULL,
    maker_id uuid,
    auction_id uuid NOT NULL,
    total_minor bigint NOT NULL,
    currency varchar(3) NOT NULL,
    render_data text NOT NULL,
    template_version varchar(10) NOT NULL,
    issued_at timestamptz NOT NULL,
    storage_key text,
    storage_version_id text,
    sha256 char(64),
    size_bytes bigint,
    stored_at timestamptz,
    UNIQUE (series, number),
    CHECK ((stored_at IS NULL) = (sha256 IS NULL))
);
CREATE UNIQUE INDEX one_receipt_per_transaction ON receipts (transaction_id) WHERE kind = 'receipt';
CREATE INDEX receipts_by_session ON receipts (session_id);
CREATE INDEX receipts_by_buyer ON receipts (buyer_id, issued_at);
CREATE INDEX receipts_unstored ON receipts (issued_at) WHERE stored_at IS NULL;

CREATE TABLE stripe_events (
    id varchar(255) PRIMARY KEY,
    type varchar(255) NOT NULL,
    livemode boolean NOT NULL,
    account varchar(255),
    payment_intent_id varchar(255),
    body text,
    stripe_created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    handled_at timestamptz,
    verdict varchar(16) CHECK (verdict IN ('applied', 'nothing', 'foreign', 'unknown_type')),
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    parked_at timestamptz,
    last_error text
);
CREATE INDEX stripe_events_due ON stripe_events (next_try_at) WHERE handled_at IS NULL AND parked_at IS NULL;
CREATE INDEX stripe_events_waiting ON stripe_events (payment_intent_id) WHERE handled_at IS NULL;
CREATE INDEX stripe_events_foreign ON stripe_events (payment_intent_id) WHERE verdict = 'foreign';
CREATE INDEX stripe_events_parked ON stripe_events (parked_at) WHERE parked_at IS NOT NULL;

CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    actor varchar(64) NOT NULL,
    arguments text NOT NULL,
    created_at timestamptz NOT NULL,
    next_send_at timestamptz NOT NULL,
    sends integer NOT NULL DEFAULT 1
);
CREATE INDEX outbox_due ON outbox (next_send_at);

CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES payment_sessions (id),
    type varchar(64) NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL,
    delivered_at timestamptz
);
CREATE INDEX notifications_by_session ON notifications (session_id, created_at);

CREATE TABLE transitions (
    id bigserial PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES payment_sessions (id),
    version bigint NOT NULL,
    attempt_number integer NOT NULL,
    event varchar(32) NOT NULL,
    from_status varchar(16) NOT NULL,
    to_status varchar(16) NOT NULL,
    hold_reason varchar(32),
    who varchar(128) NOT NULL,
    why text,
    stripe_event_id varchar(255),
    at timestamptz NOT NULL,
    UNIQUE (session_id, version)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER transitions_are_append_only BEFORE UPDATE OR DELETE ON transitions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def up(migrator: Any, db: Any) -> None:
    """Create everything."""
    del migrator
    db.execute_sql(TABLES)
