-- What was spent of a budget reached a threshold: told once for each account, by whoever saw it first.
-- told is the whole alert as JSON.
CREATE TABLE alert (
    account TEXT NOT NULL,
    threshold_percent INTEGER NOT NULL,
    action TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    budget TEXT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (account, threshold_percent, action)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_by_time ON alert (at_us);
