-- Where money stands: one row for each budget, value and window.
CREATE TABLE account (
    account_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL UNIQUE,
    unit TEXT NOT NULL,
    budget TEXT NOT NULL,
    value TEXT,
    window TEXT NOT NULL,
    starts_at_us INTEGER,
    ends_at_us INTEGER,
    settled INTEGER NOT NULL,
    held INTEGER NOT NULL,
    limit_seen INTEGER NOT NULL
) STRICT;

CREATE INDEX account_by_budget ON account (budget);

-- Calls in flight. The draft is the entry to be, so that a dead owner's call can be settled by anyone.
CREATE TABLE hold (
    call_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    draft TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The lines of the ledger. A correction is a second line of its call that says what it adds.
-- booked is a JSON object: account_id -> amount in the unit of the account.
CREATE TABLE entry (
    entry_id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL,
    correction INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    written_at_us INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    environment TEXT NOT NULL,
    "group" TEXT NOT NULL,
    key TEXT NOT NULL,
    developer TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    run TEXT NOT NULL,
    request_id TEXT NOT NULL,
    ceiling_nanodollars INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    booked TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;

-- Environments, keys and labels have no index here: the roll-ups know the hours in which they occur.
CREATE UNIQUE INDEX entry_by_call ON entry (call_id, correction);
CREATE INDEX entry_by_time ON entry (at_us, call_id) WHERE correction = 0;
CREATE INDEX entry_by_outcome ON entry (outcome, at_us, call_id) WHERE correction = 0 AND outcome <> 'settled';
CREATE INDEX entry_by_request ON entry (request_id) WHERE correction = 0;

CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is never changed');
END;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is never deleted');
END;

-- Sums by the hour of authorization (hours since 1970). An empty text stands for none.
CREATE TABLE spend_hour (
    hour INTEGER NOT NULL,
    environment TEXT NOT NULL,
    "group" TEXT NOT NULL,
    key TEXT NOT NULL,
    developer TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    PRIMARY KEY (hour, environment, "group", key, developer, provider, model, model_asked)
) STRICT, WITHOUT ROWID;

CREATE TABLE spend_run (
    environment TEXT NOT NULL,
    run TEXT NOT NULL,
    first_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    PRIMARY KEY (environment, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE spend_label (
    name TEXT NOT NULL,
    hour INTEGER NOT NULL,
    environment TEXT NOT NULL,
    value TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    PRIMARY KEY (name, hour, environment, value)
) STRICT, WITHOUT ROWID;

-- How many settled calls cost how much; buckets are numbered by farthing.ledger.rollups.cost_bucket.
CREATE TABLE cost_histogram (
    hour INTEGER NOT NULL,
    environment TEXT NOT NULL,
    feature TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (hour, environment, feature, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    key_id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    environment TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    "group" TEXT,
    developer TEXT,
    revoked_at_us INTEGER
) STRICT;

-- A label names one living key: once that is revoked, the next key may carry on under its name.
CREATE UNIQUE INDEX api_key_by_label ON api_key (environment, label) WHERE revoked_at_us IS NULL;

CREATE TABLE owner (
    owner TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    process TEXT NOT NULL,
    renewed_at_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL
) STRICT;

-- Facts that are kept for good: what budgets mean, salts.
CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
