-- No table declares its key any more: DuckDB wrote the index of a whole table anew at each checkpoint. Every row stays;
-- that a key is written once is asked of the rows themselves.

ALTER TABLE deployments RENAME TO deployments_keyed;

CREATE TABLE deployments (
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
    "recorded_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO deployments BY NAME SELECT * FROM deployments_keyed;

DROP TABLE deployments_keyed;

ALTER TABLE factory_cycles RENAME TO factory_cycles_keyed;

CREATE TABLE factory_cycles (
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
    "updated_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO factory_cycles BY NAME SELECT * FROM factory_cycles_keyed;

DROP TABLE factory_cycles_keyed;

ALTER TABLE factory_log RENAME TO factory_log_keyed;

CREATE TABLE factory_log (
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
    "row_hash" VARCHAR NOT NULL
);

INSERT INTO factory_log BY NAME SELECT * FROM factory_log_keyed;

DROP TABLE factory_log_keyed;

ALTER TABLE gate_results RENAME TO gate_results_keyed;

CREATE TABLE gate_results (
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
    "evidence_hash" VARCHAR NOT NULL
);

INSERT INTO gate_results BY NAME SELECT * FROM gate_results_keyed;

DROP TABLE gate_results_keyed;

ALTER TABLE gpu_comparisons RENAME TO gpu_comparisons_keyed;

CREATE TABLE gpu_comparisons (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "number" BIGINT NOT NULL,
    "shard" VARCHAR,
    "device" VARCHAR,
    "code_version" VARCHAR NOT NULL,
    "compared" BIGINT NOT NULL,
    "differing" BIGINT NOT NULL
);

INSERT INTO gpu_comparisons BY NAME SELECT * FROM gpu_comparisons_keyed;

DROP TABLE gpu_comparisons_keyed;

ALTER TABLE holdout_looks RENAME TO holdout_looks_keyed;

CREATE TABLE holdout_looks (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "look_key" VARCHAR NOT NULL,
    "family" VARCHAR NOT NULL,
    "window_start" TIMESTAMPTZ NOT NULL,
    "window_end" TIMESTAMPTZ NOT NULL,
    "purpose" VARCHAR NOT NULL
);

INSERT INTO holdout_looks BY NAME SELECT * FROM holdout_looks_keyed;

DROP TABLE holdout_looks_keyed;

ALTER TABLE parity_reports RENAME TO parity_reports_keyed;

CREATE TABLE parity_reports (
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
    "device" VARCHAR
);

INSERT INTO parity_reports BY NAME SELECT * FROM parity_reports_keyed;

DROP TABLE parity_reports_keyed;

ALTER TABLE replays RENAME TO replays_keyed;

CREATE TABLE replays (
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
    "trade_log" BLOB NOT NULL
);

INSERT INTO replays BY NAME SELECT * FROM replays_keyed;

DROP TABLE replays_keyed;

ALTER TABLE shortlist RENAME TO shortlist_keyed;

CREATE TABLE shortlist (
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
    "reason" VARCHAR NOT NULL
);

INSERT INTO shortlist BY NAME SELECT * FROM shortlist_keyed;

DROP TABLE shortlist_keyed;

ALTER TABLE sweep_results RENAME TO sweep_results_keyed;

CREATE TABLE sweep_results (
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
    "bits_hash" VARCHAR NOT NULL
);

INSERT INTO sweep_results BY NAME SELECT * FROM sweep_results_keyed;

DROP TABLE sweep_results_keyed;

ALTER TABLE sweep_shards RENAME TO sweep_shards_keyed;

CREATE TABLE sweep_shards (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "shard" VARCHAR NOT NULL,
    "first_row" BIGINT NOT NULL,
    "row_count" BIGINT NOT NULL,
    "contract" VARCHAR NOT NULL,
    "contract_hash" VARCHAR NOT NULL,
    "content_hash" VARCHAR NOT NULL,
    "rate" DOUBLE,
    "device" VARCHAR
);

INSERT INTO sweep_shards BY NAME SELECT * FROM sweep_shards_keyed;

DROP TABLE sweep_shards_keyed;

ALTER TABLE trial_counts RENAME TO trial_counts_keyed;

CREATE TABLE trial_counts (
    "cycle_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "shard" VARCHAR NOT NULL,
    "family" VARCHAR NOT NULL,
    "trials" BIGINT NOT NULL,
    "skipped" BIGINT NOT NULL
);

INSERT INTO trial_counts BY NAME SELECT * FROM trial_counts_keyed;

DROP TABLE trial_counts_keyed;
