-- What answers from the response cache did not cost, on the entry and in every sum.
ALTER TABLE entry ADD COLUMN avoided_nanodollars INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_hour ADD COLUMN avoided_nanodollars INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_run ADD COLUMN avoided_nanodollars INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spend_label ADD COLUMN avoided_nanodollars INTEGER NOT NULL DEFAULT 0;
