-- What entered a tick from outside: what filled its orders and told what, and what planned it where no family did.
-- Empty in ticks that were taken before these columns.

ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "executor" VARCHAR;
ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "reports" VARCHAR;
ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "signals" VARCHAR;
