-- What software achieved with what it spent. An empty text stands for none.
-- value is true, false, a number in full, or NULL; labels is a JSON object.
CREATE TABLE outcome (
    number INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    key TEXT NOT NULL,
    outcome_id TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    "group" TEXT NOT NULL,
    developer TEXT NOT NULL,
    run TEXT NOT NULL,
    labels TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX outcome_by_id ON outcome (outcome_id, environment, key);
CREATE INDEX outcome_by_name ON outcome (name);
CREATE INDEX outcome_by_time ON outcome (at_us);
