-- Calls that match a live stop are refused in the very transaction of their hold. Who stopped what is kept.
-- match is a JSON object: name -> value or pattern; an empty one matches every call.
CREATE TABLE stop (
    stop_id TEXT PRIMARY KEY,
    match TEXT NOT NULL,
    reason TEXT NOT NULL,
    stopped_by TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    resumed_at_us INTEGER,
    resumed_by TEXT,
    resumed_reason TEXT
) STRICT;

CREATE INDEX stop_live ON stop (at_us, stop_id) WHERE resumed_at_us IS NULL;

CREATE TRIGGER stop_is_never_deleted BEFORE DELETE ON stop
BEGIN
    SELECT RAISE(ABORT, 'a stop is lifted, never deleted');
END;
