-- What cycles stored and dropped, chained by hash. Cycles of before have no rows in it.

CREATE TABLE IF NOT EXISTS factory_log (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "sequence" BIGINT NOT NULL,
    "action" VARCHAR NOT NULL,
    "table_name" VARCHAR NOT NULL,
    "subject" VARCHAR NOT NULL,
    "row_count" BIGINT NOT NULL,
    "content_hash" VARCHAR NOT NULL,
    "rests_on" BIGINT,
    "prev_hash" VARCHAR NOT NULL,
    "row_hash" VARCHAR NOT NULL,
    PRIMARY KEY ("sequence")
);
