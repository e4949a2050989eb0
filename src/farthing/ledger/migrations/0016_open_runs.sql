-- A run is counted in the histogram of runs when an hour closes, not with each of its calls: open says that
-- its sums changed since, and counted_day and counted_bucket where it was counted; NULL where it was not.
ALTER TABLE spend_run ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_run ADD COLUMN counted_day INTEGER;
ALTER TABLE spend_run ADD COLUMN counted_bucket INTEGER;
UPDATE spend_run
SET counted_day = first_at_us / 86400000000, counted_bucket = cost_bucket(cost_nanodollars)
WHERE calls > voided + cached;
CREATE INDEX spend_run_open ON spend_run (environment, run) WHERE open = 1;
