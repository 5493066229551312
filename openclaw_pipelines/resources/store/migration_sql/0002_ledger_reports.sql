-- What filled the orders of a tick, and what it told; empty in ticks that were taken before these columns.

ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "executor" VARCHAR;
ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "reports" VARCHAR;
