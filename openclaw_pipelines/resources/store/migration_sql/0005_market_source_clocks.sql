-- The clock of a market source as it was told last: what has closed there is not for the local clock to say.

CREATE TABLE IF NOT EXISTS source_clocks (
    "source" VARCHAR NOT NULL,
    "served_at" TIMESTAMPTZ NOT NULL,
    "read_at" TIMESTAMPTZ NOT NULL,
    "ahead_seconds" BIGINT NOT NULL,
    PRIMARY KEY ("source")
);
