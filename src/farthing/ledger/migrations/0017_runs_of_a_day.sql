-- What the runs that began on a day cost together, and each as it was counted: written when an hour closes.
ALTER TABLE spend_run ADD COLUMN counted_calls INTEGER;
ALTER TABLE spend_run ADD COLUMN counted_nanodollars INTEGER;
UPDATE spend_run SET counted_calls = calls, counted_nanodollars = cost_nanodollars
WHERE counted_day IS NOT NULL;

CREATE TABLE run_day (
    day INTEGER NOT NULL,
    environment TEXT NOT NULL,
    runs INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    PRIMARY KEY (day, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO run_day
SELECT counted_day, environment, count(*), sum(counted_calls), sum(counted_nanodollars)
FROM spend_run WHERE counted_day IS NOT NULL GROUP BY 1, 2;

-- The dearest runs of a day stand first; no call touches what this is made of.
CREATE INDEX spend_run_dear ON spend_run (counted_day, environment, counted_nanodollars DESC, run)
WHERE counted_day IS NOT NULL;
