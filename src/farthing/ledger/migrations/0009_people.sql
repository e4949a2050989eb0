-- Who may govern over the API. A name has one living token.
CREATE TABLE token (
    token_id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at_us INTEGER,
    revoked_at_us INTEGER
) STRICT;

CREATE UNIQUE INDEX token_by_name ON token (name) WHERE revoked_at_us IS NULL;

-- Who did what when, from what to what, and why; written in the transaction of what was done.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    done_by TEXT NOT NULL,
    action TEXT NOT NULL,
    about TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_about ON audit (about);

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'what was done is never deleted');
END;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'what was done is never changed');
END;
