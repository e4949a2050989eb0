-- Two figures more: calls that were granted with a lowered output cap, and those that no limit on the
-- single call or on its run was claimed for. What older entries say of the first is told by their details.
ALTER TABLE entry ADD COLUMN clamped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN uncapped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_run ADD COLUMN clamped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_run ADD COLUMN uncapped INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER entry_is_never_changed;
UPDATE entry SET clamped = 1
WHERE correction = 0 AND outcome IN ('settled', 'void') AND json_extract(details, '$.clamped');
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is never changed');
END;

UPDATE spend_run SET clamped = counted.calls
FROM (SELECT environment, run, sum(clamped) AS calls FROM entry WHERE clamped GROUP BY environment, run) AS counted
WHERE spend_run.environment = counted.environment AND spend_run.run = counted.run;
CREATE INDEX spend_run_by_start ON spend_run (first_at_us);

-- Sums by hour (grain 0), day (1) and month (2) of authorization, UTC, counted from 1970. An empty text
-- stands for none. Closed hours are folded into their day and month; see farthing.ledger.folding.
CREATE TABLE spend_sum (
    grain INTEGER NOT NULL,
    period INTEGER NOT NULL,
    environment TEXT NOT NULL,
    "group" TEXT NOT NULL,
    key TEXT NOT NULL,
    developer TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    avoided_nanodollars INTEGER NOT NULL,
    clamped INTEGER NOT NULL,
    uncapped INTEGER NOT NULL,
    PRIMARY KEY (grain, period, environment, "group", key, developer, provider, model, model_asked)
) STRICT, WITHOUT ROWID;

-- The same by label. second is empty, but for the pair user_id+tier, whose values are value and second.
CREATE TABLE label_sum (
    grain INTEGER NOT NULL,
    period INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    second TEXT NOT NULL,
    environment TEXT NOT NULL,
    calls INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    cost_asked_nanodollars INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cached_read INTEGER NOT NULL,
    cached_write INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    avoided_nanodollars INTEGER NOT NULL,
    clamped INTEGER NOT NULL,
    uncapped INTEGER NOT NULL,
    PRIMARY KEY (grain, period, name, value, second, environment)
) STRICT, WITHOUT ROWID;

-- How many calls, or runs, cost how much, by day (of authorization, or when the run began) and month.
-- Buckets are numbered by farthing.ledger.cost_buckets.
CREATE TABLE cost_count (
    grain INTEGER NOT NULL,
    period INTEGER NOT NULL,
    of TEXT NOT NULL,
    environment TEXT NOT NULL,
    feature TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (grain, period, of, environment, feature, bucket)
) STRICT, WITHOUT ROWID;

-- Every hour before this one is in the sums of its day and month, every day before its day in the
-- histograms of its month.
CREATE TABLE folded (
    until_hour INTEGER NOT NULL
) STRICT;

-- When a developer was at work: calls by the half hour.
CREATE TABLE activity (
    half_hour INTEGER NOT NULL,
    developer TEXT NOT NULL,
    environment TEXT NOT NULL,
    first_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    PRIMARY KEY (half_hour, developer, environment)
) STRICT, WITHOUT ROWID;

-- How often a developer sent a prompt in a day; few are sent often.
CREATE TABLE prompt_sum (
    day INTEGER NOT NULL,
    environment TEXT NOT NULL,
    developer TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    calls INTEGER NOT NULL,
    cost_nanodollars INTEGER NOT NULL,
    PRIMARY KEY (day, environment, developer, prompt_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX prompt_sent_often ON prompt_sum (day) WHERE calls >= 3;

-- Why calls were refused, or granted otherwise than asked; the budget and account that were short.
CREATE TABLE reason_sum (
    day INTEGER NOT NULL,
    environment TEXT NOT NULL,
    "group" TEXT NOT NULL,
    key TEXT NOT NULL,
    developer TEXT NOT NULL,
    reason TEXT NOT NULL,
    budget TEXT NOT NULL,
    account TEXT NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (day, environment, "group", key, developer, reason, budget, account)
) STRICT, WITHOUT ROWID;

-- What somebody said about a feature: why it costs more for a while.
CREATE TABLE annotation (
    number INTEGER PRIMARY KEY,
    feature TEXT NOT NULL,
    starts_at_us INTEGER NOT NULL,
    ships_at_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    note TEXT NOT NULL,
    annotated_by TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;

INSERT INTO spend_sum
SELECT 0, at_us / 3600000000, environment, "group", key, developer, provider, model, model_asked,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM entry GROUP BY 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO label_sum
SELECT 0, at_us / 3600000000, label.key, label.value, '', environment,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM entry, json_each(details, '$.facts.labels') AS label GROUP BY 2, 3, 4, 6;

INSERT INTO label_sum
SELECT 0, hour, 'user_id+tier', user, tier, environment,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM (
    SELECT at_us / 3600000000 AS hour, json_extract(details, '$.facts.labels.user_id') AS user,
        json_extract(details, '$.facts.labels.tier') AS tier, *
    FROM entry
)
WHERE user <> '' AND tier <> '' GROUP BY 2, 4, 5, 6;

INSERT INTO cost_count
SELECT 1, first.at_us / 86400000000, 'calls', first.environment,
    coalesce(json_extract(first.details, '$.facts.labels.feature'), ''),
    cost_bucket(first.cost_nanodollars + coalesce(correction.cost_nanodollars, 0)), count(*)
FROM entry AS first
LEFT JOIN entry AS correction ON correction.call_id = first.call_id AND correction.correction = 1
WHERE first.correction = 0 AND first.outcome = 'settled'
  AND coalesce(json_extract(first.details, '$.facts.cost_tracked'), 1)
GROUP BY 2, 4, 5, 6;

INSERT INTO cost_count
SELECT 1, first_at_us / 86400000000, 'runs', environment, '', cost_bucket(cost_nanodollars), count(*)
FROM spend_run WHERE calls > voided + cached GROUP BY 2, 4, 6;

INSERT INTO activity
SELECT at_us / 1800000000, developer, environment, min(at_us), max(at_us), sum(calls), sum(cost_nanodollars)
FROM entry WHERE developer <> '' AND outcome <> 'refused' GROUP BY 1, 2, 3;

INSERT INTO prompt_sum
SELECT at_us / 86400000000, environment, developer, json_extract(details, '$.facts.prompt_hash') AS sent,
    sum(calls), sum(cost_nanodollars)
FROM entry WHERE developer <> '' AND outcome <> 'refused' AND sent <> '' GROUP BY 1, 2, 3, 4;

INSERT INTO reason_sum
SELECT at_us / 86400000000, environment, "group", key, developer, json_extract(details, '$.reason') AS reason,
    coalesce(json_extract(details, '$.short.balance.budget'), ''),
    coalesce(json_extract(details, '$.short.balance.account'), ''),
    sum(iif(outcome = 'refused', refused, calls))
FROM entry
WHERE correction = 0
  AND (outcome = 'refused' OR outcome IN ('settled', 'void') AND reason NOT IN ('as_asked', 'routed'))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

-- All hours but the last are folded at once.
INSERT INTO folded SELECT coalesce(max(period), 0) FROM spend_sum;

INSERT INTO spend_sum
SELECT 1, period / 24, environment, "group", key, developer, provider, model, model_asked,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM spend_sum WHERE grain = 0 AND period < (SELECT until_hour FROM folded) GROUP BY 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO spend_sum
SELECT 2, month_of_day(period), environment, "group", key, developer, provider, model, model_asked,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM spend_sum WHERE grain = 1 GROUP BY 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO label_sum
SELECT 1, period / 24, name, value, second, environment,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM label_sum WHERE grain = 0 AND period < (SELECT until_hour FROM folded) GROUP BY 2, 3, 4, 5, 6;

INSERT INTO label_sum
SELECT 2, month_of_day(period), name, value, second, environment,
    sum(calls), sum(refused), sum(voided), sum(cached), sum(assumed), sum(cost_nanodollars),
    sum(cost_asked_nanodollars), sum(input_tokens), sum(cached_read), sum(cached_write), sum(output_tokens),
    sum(reasoning), sum(avoided_nanodollars), sum(clamped), sum(uncapped)
FROM label_sum WHERE grain = 1 GROUP BY 2, 3, 4, 5, 6;

INSERT INTO cost_count
SELECT 2, month_of_day(period), of, environment, feature, bucket, sum(count)
FROM cost_count WHERE grain = 1 AND period < (SELECT until_hour / 24 FROM folded) GROUP BY 2, 3, 4, 5, 6;

DROP TABLE spend_hour;
DROP TABLE spend_label;
DROP TABLE cost_histogram;
