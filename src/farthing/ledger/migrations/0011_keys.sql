-- A key may expire, and when it is rotated its old secret works on for a while.
ALTER TABLE api_key ADD COLUMN expires_at_us INTEGER;

CREATE TABLE retired_secret (
    sha256 BLOB PRIMARY KEY,
    key_id TEXT NOT NULL,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
