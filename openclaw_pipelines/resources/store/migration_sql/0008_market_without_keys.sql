-- No table declares its key any more: DuckDB wrote the index of a whole table anew at each checkpoint. Every row stays;
-- that a key is written once is asked of the rows themselves.

ALTER TABLE candle_corrections RENAME TO candle_corrections_keyed;

CREATE TABLE candle_corrections (
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
    "old_volume" DOUBLE
);

INSERT INTO candle_corrections BY NAME SELECT * FROM candle_corrections_keyed;

DROP TABLE candle_corrections_keyed;

ALTER TABLE candle_coverage RENAME TO candle_coverage_keyed;

CREATE TABLE candle_coverage (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "covered_until" TIMESTAMPTZ NOT NULL
);

INSERT INTO candle_coverage BY NAME SELECT * FROM candle_coverage_keyed;

DROP TABLE candle_coverage_keyed;

ALTER TABLE funding_coverage RENAME TO funding_coverage_keyed;

CREATE TABLE funding_coverage (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "covered_until" TIMESTAMPTZ NOT NULL
);

INSERT INTO funding_coverage BY NAME SELECT * FROM funding_coverage_keyed;

DROP TABLE funding_coverage_keyed;

ALTER TABLE instruments RENAME TO instruments_keyed;

CREATE TABLE instruments (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "symbol_normalized" VARCHAR NOT NULL,
    "base" VARCHAR NOT NULL,
    "quote" VARCHAR NOT NULL,
    "market_type" VARCHAR NOT NULL,
    "price_unit" DECIMAL(38,18) NOT NULL,
    "significant_digits" BIGINT,
    "tick" DECIMAL(38,18) NOT NULL,
    "lot" DECIMAL(38,18) NOT NULL,
    "min_qty" DECIMAL(38,18) NOT NULL,
    "min_notional" DECIMAL(38,18) NOT NULL,
    "taker_fee_rate" DECIMAL(38,18) NOT NULL,
    "max_leverage" BIGINT NOT NULL,
    "maintenance_margin_rate" DECIMAL(38,18) NOT NULL,
    "liquidation_fee_rate" DECIMAL(38,18) NOT NULL,
    "funding_interval_hours" BIGINT,
    "state" VARCHAR NOT NULL,
    "listed_at" TIMESTAMPTZ,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "delisted_at" TIMESTAMPTZ
);

INSERT INTO instruments BY NAME SELECT * FROM instruments_keyed;

DROP TABLE instruments_keyed;

ALTER TABLE refused_answers RENAME TO refused_answers_keyed;

CREATE TABLE refused_answers (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "series" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "first_seen_at" TIMESTAMPTZ NOT NULL,
    "last_seen_at" TIMESTAMPTZ NOT NULL,
    "reason" VARCHAR NOT NULL,
    "refusals" BIGINT
);

INSERT INTO refused_answers BY NAME SELECT * FROM refused_answers_keyed;

DROP TABLE refused_answers_keyed;

ALTER TABLE source_clocks RENAME TO source_clocks_keyed;

CREATE TABLE source_clocks (
    "source" VARCHAR NOT NULL,
    "served_at" TIMESTAMPTZ NOT NULL,
    "read_at" TIMESTAMPTZ NOT NULL,
    "ahead_seconds" BIGINT NOT NULL
);

INSERT INTO source_clocks BY NAME SELECT * FROM source_clocks_keyed;

DROP TABLE source_clocks_keyed;
