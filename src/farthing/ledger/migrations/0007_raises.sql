-- What raises add to a limit rides on its account: a JSON list of [until_us or null, amount], one for each end.
ALTER TABLE account ADD COLUMN raises TEXT;

-- Who raised the limit of an account, when, from what to what, until when and why.
CREATE TABLE limit_raise (
    raise_id TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account,
    at_us INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    limit_before INTEGER NOT NULL,
    limit_after INTEGER NOT NULL,
    until_us INTEGER,
    raised_by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX limit_raise_by_account ON limit_raise (account_id, at_us);

CREATE TRIGGER limit_raise_is_never_deleted BEFORE DELETE ON limit_raise
BEGIN
    SELECT RAISE(ABORT, 'a raise is undone by lowering the limit, never deleted');
END;

CREATE TRIGGER limit_raise_is_never_changed BEFORE UPDATE ON limit_raise
BEGIN
    SELECT RAISE(ABORT, 'a raise is undone by lowering the limit, never changed');
END;
