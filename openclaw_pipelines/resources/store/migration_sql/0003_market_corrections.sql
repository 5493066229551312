-- Answers of a source that were refused, so that a symbol without bars can be told from one whose source lies, and bars
-- that a person replaced, with what stood there before.

CREATE TABLE IF NOT EXISTS refused_answers (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "series" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "first_seen_at" TIMESTAMPTZ NOT NULL,
    "last_seen_at" TIMESTAMPTZ NOT NULL,
    "reason" VARCHAR NOT NULL,
    PRIMARY KEY ("source", "symbol", "series", "day")
);

CREATE TABLE IF NOT EXISTS candle_corrections (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "ts" TIMESTAMPTZ NOT NULL,
    "open" DOUBLE NOT NULL,
    "high" DOUBLE NOT NULL,
    "low" DOUBLE NOT NULL,
    "close" DOUBLE NOT NULL,
    "volume" DOUBLE NOT NULL,
    "corrected_at" TIMESTAMPTZ NOT NULL,
    "actor" VARCHAR NOT NULL,
    "reason" VARCHAR NOT NULL,
    "taken_from" VARCHAR NOT NULL,
    "old_open" DOUBLE,
    "old_high" DOUBLE,
    "old_low" DOUBLE,
    "old_close" DOUBLE,
    "old_volume" DOUBLE,
    PRIMARY KEY ("source", "symbol", "interval", "ts", "corrected_at")
);
