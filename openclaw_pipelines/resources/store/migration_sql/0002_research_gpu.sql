-- Which GPU swept a shard, which one a report compares with the CPU (empty where none did), and the log of comparisons.

ALTER TABLE sweep_shards ADD COLUMN IF NOT EXISTS "device" VARCHAR;
ALTER TABLE parity_reports ADD COLUMN IF NOT EXISTS "device" VARCHAR;

CREATE TABLE IF NOT EXISTS gpu_comparisons (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "number" BIGINT NOT NULL,
    "shard" VARCHAR,
    "device" VARCHAR,
    "code_version" VARCHAR NOT NULL,
    "compared" BIGINT NOT NULL,
    "differing" BIGINT NOT NULL,
    PRIMARY KEY ("number")
);
