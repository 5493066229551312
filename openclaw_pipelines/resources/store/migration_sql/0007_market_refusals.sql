-- How often in a row a series was refused. Empty in rows that were stored before this column.

ALTER TABLE refused_answers ADD COLUMN IF NOT EXISTS "refusals" BIGINT;
