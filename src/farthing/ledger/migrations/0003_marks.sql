-- What is told once about an account, however many processes see it. Goes some time after its window.
CREATE TABLE mark (
    account TEXT NOT NULL,
    mark TEXT NOT NULL,
    noted_at_us INTEGER NOT NULL,
    ends_at_us INTEGER,
    PRIMARY KEY (account, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX mark_by_end ON mark (ends_at_us) WHERE ends_at_us IS NOT NULL;
