-- Tables of market. Generated from the models, then frozen.

CREATE TABLE IF NOT EXISTS candle_coverage (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "covered_until" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("source", "symbol", "interval", "day")
);

CREATE TABLE IF NOT EXISTS candle_revisions (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "ts" TIMESTAMPTZ NOT NULL,
    "open" DOUBLE NOT NULL,
    "high" DOUBLE NOT NULL,
    "low" DOUBLE NOT NULL,
    "close" DOUBLE NOT NULL,
    "volume" DOUBLE NOT NULL,
    "seen_at" TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS candles (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "ts" TIMESTAMPTZ NOT NULL,
    "open" DOUBLE NOT NULL,
    "high" DOUBLE NOT NULL,
    "low" DOUBLE NOT NULL,
    "close" DOUBLE NOT NULL,
    "volume" DOUBLE NOT NULL,
    "is_synthetic" BOOLEAN NOT NULL,
    "ingested_at" TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS features (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "ts" TIMESTAMPTZ NOT NULL,
    "close" DOUBLE NOT NULL,
    "return_1" DOUBLE,
    "return_24h" DOUBLE,
    "ema_fast" DOUBLE,
    "ema_slow" DOUBLE,
    "rsi" DOUBLE,
    "atr_pct" DOUBLE,
    "adx" DOUBLE,
    "bollinger_position" DOUBLE,
    "donchian_position" DOUBLE,
    "realised_volatility" DOUBLE,
    "volume_average" DOUBLE,
    "quote_volume_24h" DOUBLE,
    "spread_proxy_bps" DOUBLE,
    "regime" VARCHAR NOT NULL,
    "capped" BOOLEAN NOT NULL,
    "ingested_at" TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS funding_rates (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "ts" TIMESTAMPTZ NOT NULL,
    "stamped_at" TIMESTAMPTZ NOT NULL,
    "funding_rate" DOUBLE NOT NULL,
    "ingested_at" TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS instruments (
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
    PRIMARY KEY ("source", "symbol")
);
