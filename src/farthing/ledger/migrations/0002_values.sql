-- How many values of a budget have an account in one window is asked for every new value.
DROP INDEX account_by_budget;
CREATE INDEX account_by_budget ON account (budget, window, value);
