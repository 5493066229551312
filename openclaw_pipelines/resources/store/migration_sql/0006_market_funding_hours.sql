-- Hours between two rates, where the source says so with the rate. Empty in rows that were stored before this column.

ALTER TABLE funding_rates ADD COLUMN IF NOT EXISTS "interval_hours" BIGINT;
