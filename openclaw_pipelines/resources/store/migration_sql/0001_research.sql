-- Tables of research. Generated from the models, then frozen.

CREATE TABLE IF NOT EXISTS deployments (
    "account_id" VARCHAR NOT NULL,
    "sequence" BIGINT NOT NULL,
    "transition" BIGINT NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "slot" VARCHAR NOT NULL,
    "from_state" VARCHAR NOT NULL,
    "to_state" VARCHAR NOT NULL,
    "from_ramp_bps" BIGINT NOT NULL,
    "ramp_bps" BIGINT NOT NULL,
    "family" VARCHAR NOT NULL,
    "params" VARCHAR NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "symbols" VARCHAR NOT NULL,
    "capital" DECIMAL(38,18) NOT NULL,
    "section" VARCHAR NOT NULL,
    "start_day" DATE NOT NULL,
    "cycle_id" VARCHAR NOT NULL,
    "gate_hash" VARCHAR NOT NULL,
    "parity_hash" VARCHAR NOT NULL,
    "trigger" VARCHAR NOT NULL,
    "actor" VARCHAR NOT NULL,
    "metrics" VARCHAR NOT NULL,
    "reason" VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    "undoes" BIGINT,
    "prev_hash" VARCHAR NOT NULL,
    "row_hash" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("account_id", "sequence")
);

CREATE TABLE IF NOT EXISTS factory_cycles (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "recipe" VARCHAR NOT NULL,
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "contract" VARCHAR NOT NULL,
    "contract_hash" VARCHAR NOT NULL,
    "code_version" VARCHAR NOT NULL,
    "bars_hash" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "train_start" TIMESTAMPTZ NOT NULL,
    "train_end" TIMESTAMPTZ NOT NULL,
    "holdout_start" TIMESTAMPTZ NOT NULL,
    "holdout_end" TIMESTAMPTZ NOT NULL,
    "state" VARCHAR NOT NULL,
    "blocked_by" VARCHAR,
    "reason" VARCHAR,
    "updated_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("cycle_id")
);

CREATE TABLE IF NOT EXISTS gate_results (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "gate" VARCHAR NOT NULL,
    "position" BIGINT NOT NULL,
    "measured" DOUBLE,
    "required" VARCHAR NOT NULL,
    "passed" BOOLEAN NOT NULL,
    "reason" VARCHAR NOT NULL,
    "sample_size" BIGINT NOT NULL,
    "evidence_hash" VARCHAR NOT NULL,
    PRIMARY KEY ("cycle_id", "params_hash", "gate")
);

CREATE TABLE IF NOT EXISTS holdout_looks (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "look_key" VARCHAR NOT NULL,
    "family" VARCHAR NOT NULL,
    "window_start" TIMESTAMPTZ NOT NULL,
    "window_end" TIMESTAMPTZ NOT NULL,
    "purpose" VARCHAR NOT NULL,
    PRIMARY KEY ("look_key")
);

CREATE TABLE IF NOT EXISTS parity_reports (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "comparison" VARCHAR NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "sample" VARCHAR NOT NULL,
    "verdict" VARCHAR NOT NULL,
    "code_version" VARCHAR NOT NULL,
    "bars_hash" VARCHAR NOT NULL,
    "left_contract" VARCHAR NOT NULL,
    "right_contract" VARCHAR NOT NULL,
    "left_hash" VARCHAR NOT NULL,
    "right_hash" VARCHAR NOT NULL,
    "differing" VARCHAR NOT NULL,
    "first_difference" VARCHAR,
    "symbols" VARCHAR NOT NULL,
    "report_hash" VARCHAR NOT NULL,
    PRIMARY KEY ("cycle_id", "comparison", "params_hash")
);

CREATE TABLE IF NOT EXISTS replays (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "family" VARCHAR NOT NULL,
    "params" VARCHAR NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "variant" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "window_start" TIMESTAMPTZ NOT NULL,
    "window_end" TIMESTAMPTZ NOT NULL,
    "slippage_bps" DECIMAL(38,18) NOT NULL,
    "contract" VARCHAR NOT NULL,
    "contract_hash" VARCHAR NOT NULL,
    "content_hash" VARCHAR NOT NULL,
    "bits_hash" VARCHAR NOT NULL,
    "net" DECIMAL(38,18) NOT NULL,
    "fees" DECIMAL(38,18) NOT NULL,
    "funding" DECIMAL(38,18) NOT NULL,
    "trades" BIGINT NOT NULL,
    "max_drawdown" DOUBLE NOT NULL,
    "day_equity" BLOB NOT NULL,
    "trade_log" BLOB NOT NULL,
    PRIMARY KEY ("cycle_id", "params_hash", "variant")
);

CREATE TABLE IF NOT EXISTS shortlist (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "family" VARCHAR NOT NULL,
    "params" VARCHAR NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "channel" VARCHAR NOT NULL,
    "rank" BIGINT NOT NULL,
    "row_index" BIGINT,
    "score" DOUBLE,
    "measures" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR NOT NULL,
    PRIMARY KEY ("cycle_id", "channel", "rank")
);

CREATE TABLE IF NOT EXISTS sweep_results (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "family" VARCHAR NOT NULL,
    "params" VARCHAR NOT NULL,
    "params_hash" VARCHAR NOT NULL,
    "row_index" BIGINT NOT NULL,
    "shard" VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
    "net" DECIMAL(38,18) NOT NULL,
    "gross_profit" DECIMAL(38,18) NOT NULL,
    "gross_loss" DECIMAL(38,18) NOT NULL,
    "turnover" DECIMAL(38,18) NOT NULL,
    "fees" DECIMAL(38,18) NOT NULL,
    "funding" DECIMAL(38,18) NOT NULL,
    "entries" BIGINT NOT NULL,
    "trades" BIGINT NOT NULL,
    "wins" BIGINT NOT NULL,
    "liquidations" BIGINT NOT NULL,
    "refused" BIGINT NOT NULL,
    "expired" BIGINT NOT NULL,
    "held_seconds" BIGINT NOT NULL,
    "longest_hold_seconds" BIGINT NOT NULL,
    "max_drawdown" DOUBLE NOT NULL,
    "return_total" DOUBLE NOT NULL,
    "profit_factor" DOUBLE,
    "sharpe_day" DOUBLE,
    "events_digest" BIGINT NOT NULL,
    "symbols" VARCHAR NOT NULL,
    "day_equity" BLOB NOT NULL,
    "bits_hash" VARCHAR NOT NULL,
    PRIMARY KEY ("cycle_id", "row_index")
);

CREATE TABLE IF NOT EXISTS sweep_shards (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "shard" VARCHAR NOT NULL,
    "first_row" BIGINT NOT NULL,
    "row_count" BIGINT NOT NULL,
    "contract" VARCHAR NOT NULL,
    "contract_hash" VARCHAR NOT NULL,
    "content_hash" VARCHAR NOT NULL,
    "rate" DOUBLE,
    PRIMARY KEY ("cycle_id", "shard")
);

CREATE TABLE IF NOT EXISTS trial_counts (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "shard" VARCHAR NOT NULL,
    "family" VARCHAR NOT NULL,
    "trials" BIGINT NOT NULL,
    "skipped" BIGINT NOT NULL,
    PRIMARY KEY ("cycle_id", "shard", "family")
);
