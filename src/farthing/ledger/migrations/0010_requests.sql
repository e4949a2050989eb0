-- Who asked for more of which budget, why, and who answered what.
CREATE TABLE budget_request (
    request_id TEXT PRIMARY KEY,
    budget TEXT NOT NULL,
    value TEXT,
    run TEXT,
    window TEXT NOT NULL,
    amount_nanodollars INTEGER NOT NULL,
    until_us INTEGER,
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    approved INTEGER,
    granted_nanodollars INTEGER,
    answered_at_us INTEGER,
    answered_by TEXT,
    answer TEXT
) STRICT;

CREATE INDEX budget_request_by_time ON budget_request (at_us, request_id);
CREATE INDEX budget_request_open ON budget_request (at_us, request_id) WHERE approved IS NULL;

CREATE TRIGGER budget_request_is_never_deleted BEFORE DELETE ON budget_request
BEGIN
    SELECT RAISE(ABORT, 'a request is answered, never deleted');
END;
