-- Which GPU swept a shard, and which one a report compares with the CPU; empty where none did.

ALTER TABLE sweep_shards ADD COLUMN IF NOT EXISTS "device" VARCHAR;
ALTER TABLE parity_reports ADD COLUMN IF NOT EXISTS "device" VARCHAR;
