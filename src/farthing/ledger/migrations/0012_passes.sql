-- Who may ask for a model past the rules of an environment, with how much money, until when, and why.
CREATE TABLE premium_pass (
    pass_id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    environment TEXT NOT NULL,
    key TEXT,
    developer TEXT,
    budget_nanodollars INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    granted_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    ended_at_us INTEGER,
    ended_by TEXT,
    ended_reason TEXT
) STRICT;

CREATE INDEX premium_pass_live ON premium_pass (at_us, pass_id) WHERE ended_at_us IS NULL;

CREATE TRIGGER premium_pass_is_never_deleted BEFORE DELETE ON premium_pass
BEGIN
    SELECT RAISE(ABORT, 'a pass is ended, never deleted');
END;
