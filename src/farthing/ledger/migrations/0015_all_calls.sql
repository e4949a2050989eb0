-- The histogram of all calls of an environment, whatever their feature, by the month.
INSERT INTO cost_count
SELECT 2, period, 'all_calls', environment, '', bucket, sum(count)
FROM cost_count WHERE grain = 2 AND of = 'calls' GROUP BY 2, 4, 6;
