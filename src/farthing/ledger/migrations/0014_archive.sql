-- Entries of closed months that went to a file. farthing.ledger.archiving says what the states mean.
CREATE TABLE archive_partition (
    number INTEGER PRIMARY KEY,
    month TEXT NOT NULL,
    state TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    file TEXT NOT NULL,
    through_entry_id INTEGER NOT NULL,
    entries INTEGER NOT NULL DEFAULT 0,
    cost_nanodollars INTEGER NOT NULL DEFAULT 0,
    file_bytes INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    archived_at_us INTEGER NOT NULL DEFAULT 0,
    archived_by TEXT NOT NULL DEFAULT '',
    forgotten_at_us INTEGER,
    forgotten_by TEXT,
    forgotten_reason TEXT
) STRICT;

-- What the entries of a partition booked to each account, so that balances add up without its file.
CREATE TABLE archived_amount (
    account_id INTEGER NOT NULL REFERENCES account,
    number INTEGER NOT NULL REFERENCES archive_partition,
    amount INTEGER NOT NULL,
    PRIMARY KEY (account_id, number)
) STRICT, WITHOUT ROWID;

-- Which calls were archived, by farthing.ledger.archiving.fingerprint.
CREATE TABLE archived_call (
    fingerprint INTEGER NOT NULL,
    number INTEGER NOT NULL REFERENCES archive_partition,
    PRIMARY KEY (fingerprint, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_correction_by_time ON entry (at_us, call_id) WHERE correction = 1;

-- The entries that are in this file alone: without those that are in a partition and wait to be deleted.
CREATE VIEW kept_entry AS
    SELECT * FROM entry WHERE NOT EXISTS (
        SELECT 1 FROM archive_partition AS archived
        WHERE archived.state = 'leaving' AND entry.at_us >= archived.since_us AND entry.at_us < archived.until_us
          AND entry.entry_id <= archived.through_entry_id
    );

DROP TRIGGER entry_is_never_deleted;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
WHEN NOT EXISTS (
    SELECT 1 FROM archive_partition AS archived
    WHERE archived.state = 'leaving' AND OLD.at_us >= archived.since_us AND OLD.at_us < archived.until_us
      AND OLD.entry_id <= archived.through_entry_id
)
BEGIN
    SELECT RAISE(ABORT, 'an entry is never deleted');
END;

CREATE TRIGGER archive_partition_is_never_deleted BEFORE DELETE ON archive_partition WHEN OLD.state <> 'writing'
BEGIN
    SELECT RAISE(ABORT, 'a partition is forgotten, never deleted');
END;

CREATE TRIGGER archive_partition_is_never_changed BEFORE UPDATE ON archive_partition
WHEN OLD.state <> 'writing' AND (
    NEW.sha256 <> OLD.sha256 OR NEW.entries <> OLD.entries OR NEW.cost_nanodollars <> OLD.cost_nanodollars
    OR NEW.since_us <> OLD.since_us OR NEW.until_us <> OLD.until_us
    OR NEW.through_entry_id <> OLD.through_entry_id
)
BEGIN
    SELECT RAISE(ABORT, 'a partition is never changed');
END;
