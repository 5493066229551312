-- Tables of ledger. Generated from the models, then frozen.

CREATE TABLE IF NOT EXISTS admin_actions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "sequence" BIGINT NOT NULL,
    "action" VARCHAR NOT NULL,
    "subject" VARCHAR NOT NULL,
    "from_state" VARCHAR,
    "to_state" VARCHAR,
    "tick_at" TIMESTAMPTZ,
    "actor" VARCHAR NOT NULL,
    "details" VARCHAR NOT NULL,
    "prev_hash" VARCHAR NOT NULL,
    "row_hash" VARCHAR NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "sequence")
);

CREATE TABLE IF NOT EXISTS autopilot_decisions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason_code" VARCHAR NOT NULL,
    "reason" VARCHAR NOT NULL,
    "action" VARCHAR NOT NULL,
    "side" VARCHAR NOT NULL,
    "proposed_qty" DECIMAL(38,18) NOT NULL,
    "approved_qty" DECIMAL(38,18) NOT NULL,
    "intended_price" DECIMAL(38,18) NOT NULL,
    "measured" DECIMAL(38,18),
    "limit_value" DECIMAL(38,18),
    "confidence" DOUBLE NOT NULL,
    "planner" VARCHAR NOT NULL,
    "policy_source" VARCHAR NOT NULL,
    "policy_version_id" VARCHAR NOT NULL,
    "base_limits" VARCHAR NOT NULL,
    "effective_limits" VARCHAR NOT NULL,
    "features" VARCHAR NOT NULL,
    "rationale" VARCHAR NOT NULL,
    "data_hash" VARCHAR NOT NULL,
    "model_calls" VARCHAR NOT NULL,
    "universe_key" VARCHAR,
    PRIMARY KEY ("decision_key")
);

CREATE TABLE IF NOT EXISTS autopilot_equity (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "cash" DECIMAL(38,18) NOT NULL,
    "margin" DECIMAL(38,18) NOT NULL,
    "reserved" DECIMAL(38,18) NOT NULL,
    "position_value" DECIMAL(38,18) NOT NULL,
    "unrealized_pnl" DECIMAL(38,18) NOT NULL,
    "equity" DECIMAL(38,18) NOT NULL,
    "gross_exposure" DECIMAL(38,18) NOT NULL,
    "realized_pnl" DECIMAL(38,18) NOT NULL,
    "fees" DECIMAL(38,18) NOT NULL,
    "funding" DECIMAL(38,18) NOT NULL,
    "day_open_equity" DECIMAL(38,18) NOT NULL,
    "peak_equity" DECIMAL(38,18) NOT NULL,
    "open_positions" BIGINT NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "tick_at")
);

CREATE TABLE IF NOT EXISTS autopilot_fills (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "fill_key" VARCHAR NOT NULL,
    "order_key" VARCHAR NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "leg" VARCHAR NOT NULL,
    "side" VARCHAR NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason_code" VARCHAR NOT NULL,
    "reason" VARCHAR NOT NULL,
    "bar_at" TIMESTAMPTZ NOT NULL,
    "qty" DECIMAL(38,18) NOT NULL,
    "price" DECIMAL(38,18) NOT NULL,
    "intended_price" DECIMAL(38,18) NOT NULL,
    "fee" DECIMAL(38,18) NOT NULL,
    "slippage_bps" DOUBLE,
    "cash_change" DECIMAL(38,18) NOT NULL,
    "realized_pnl" DECIMAL(38,18) NOT NULL,
    PRIMARY KEY ("fill_key")
);

CREATE TABLE IF NOT EXISTS autopilot_funding_payments (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "bar_at" TIMESTAMPTZ NOT NULL,
    "entry_decision_key" VARCHAR NOT NULL,
    "qty" DECIMAL(38,18) NOT NULL,
    "price" DECIMAL(38,18) NOT NULL,
    "amount" DECIMAL(38,18) NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "symbol", "tick_at")
);

CREATE TABLE IF NOT EXISTS autopilot_metrics (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "metric_key" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "scope" VARCHAR NOT NULL,
    "name" VARCHAR NOT NULL,
    "group_name" VARCHAR NOT NULL,
    "definition" VARCHAR NOT NULL,
    "value" DOUBLE,
    "unit" VARCHAR NOT NULL,
    "sample_size" BIGINT NOT NULL,
    "below_minimum_sample" BOOLEAN NOT NULL,
    "reason" VARCHAR,
    PRIMARY KEY ("metric_key")
);

CREATE TABLE IF NOT EXISTS autopilot_orders (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "order_key" VARCHAR NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "leg" VARCHAR NOT NULL,
    "side" VARCHAR NOT NULL,
    "qty" DECIMAL(38,18) NOT NULL,
    "intended_price" DECIMAL(38,18) NOT NULL,
    "reason" VARCHAR NOT NULL,
    PRIMARY KEY ("order_key")
);

CREATE TABLE IF NOT EXISTS autopilot_outcomes (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "outcome_key" VARCHAR NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "decided_at" TIMESTAMPTZ NOT NULL,
    "decision_status" VARCHAR NOT NULL,
    "horizon_seconds" BIGINT NOT NULL,
    "matured_at" TIMESTAMPTZ NOT NULL,
    "interval_used" VARCHAR,
    "intended_price" DECIMAL(38,18) NOT NULL,
    "horizon_price" DOUBLE,
    "return_signed" DOUBLE,
    "pnl_quote_est" DECIMAL(38,18),
    "win" BOOLEAN,
    "buy_and_hold_return" DOUBLE,
    "reason" VARCHAR,
    PRIMARY KEY ("outcome_key")
);

CREATE TABLE IF NOT EXISTS autopilot_positions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "side" VARCHAR NOT NULL,
    "qty" DECIMAL(38,18) NOT NULL,
    "entry_price" DECIMAL(38,18) NOT NULL,
    "mark_price" DECIMAL(38,18) NOT NULL,
    "stale" BOOLEAN NOT NULL,
    "unrealized_pnl" DECIMAL(38,18) NOT NULL,
    "margin" DECIMAL(38,18) NOT NULL,
    "stop_price" DECIMAL(38,18),
    "trailing_stop_price" DECIMAL(38,18),
    "target_price" DECIMAL(38,18),
    "liquidation_price" DECIMAL(38,18),
    "entry_decision_key" VARCHAR NOT NULL,
    "bars_held" BIGINT NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "symbol", "tick_at")
);

CREATE TABLE IF NOT EXISTS autopilot_proposals (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "planner" VARCHAR NOT NULL,
    "action" VARCHAR NOT NULL,
    "side" VARCHAR NOT NULL,
    "proposed_qty" DECIMAL(38,18) NOT NULL,
    "intended_price" DECIMAL(38,18) NOT NULL,
    "stop_distance" DECIMAL(38,18),
    "target_distance" DECIMAL(38,18),
    "trail_distance" DECIMAL(38,18),
    "confidence" DOUBLE NOT NULL,
    "rank" BIGINT NOT NULL,
    "rationale" VARCHAR NOT NULL,
    "features" VARCHAR NOT NULL,
    "state" VARCHAR NOT NULL,
    PRIMARY KEY ("decision_key")
);

CREATE TABLE IF NOT EXISTS autopilot_ticks (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "status" VARCHAR NOT NULL,
    "reason" VARCHAR,
    "mode" VARCHAR NOT NULL,
    "shadow" BOOLEAN NOT NULL,
    "kill_switch" VARCHAR NOT NULL,
    "phases" VARCHAR NOT NULL,
    "state_hash" VARCHAR NOT NULL,
    "program_version" VARCHAR NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "tick_at")
);

CREATE TABLE IF NOT EXISTS autopilot_universe_snapshots (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "universe_key" VARCHAR NOT NULL,
    "as_of" TIMESTAMPTZ NOT NULL,
    "selected" VARCHAR NOT NULL,
    "candidates" VARCHAR NOT NULL,
    "scoring" VARCHAR NOT NULL,
    "picked_by" VARCHAR NOT NULL,
    "reason" VARCHAR,
    PRIMARY KEY ("universe_key")
);

CREATE TABLE IF NOT EXISTS kernel_states (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "state_hash" VARCHAR NOT NULL,
    "state" BLOB NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "tick_at")
);

CREATE TABLE IF NOT EXISTS notifications_outbox (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "notification_key" VARCHAR NOT NULL,
    "kind" VARCHAR NOT NULL,
    "severity" VARCHAR NOT NULL,
    "subject" VARCHAR NOT NULL,
    "message" VARCHAR NOT NULL,
    "raised_at" TIMESTAMPTZ NOT NULL,
    "dispatched" BOOLEAN NOT NULL,
    PRIMARY KEY ("notification_key")
);

CREATE TABLE IF NOT EXISTS operator_requests (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "request_key" VARCHAR NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "verdict" VARCHAR NOT NULL,
    "requested_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("request_key")
);

CREATE TABLE IF NOT EXISTS policy_versions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "policy_version_id" VARCHAR NOT NULL,
    "limits" VARCHAR NOT NULL,
    "first_tick_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("policy_version_id")
);

CREATE TABLE IF NOT EXISTS reconcile_events (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "check_name" VARCHAR NOT NULL,
    "passed" BOOLEAN NOT NULL,
    "expected" DECIMAL(38,18) NOT NULL,
    "measured" DECIMAL(38,18) NOT NULL,
    "message" VARCHAR NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "tick_at", "check_name")
);

CREATE TABLE IF NOT EXISTS tick_contexts (
    "context_hash" VARCHAR NOT NULL,
    "payload" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("context_hash")
);

CREATE TABLE IF NOT EXISTS tick_inputs (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "config_fingerprint" VARCHAR NOT NULL,
    "context_hash" VARCHAR NOT NULL,
    "bars" VARCHAR NOT NULL,
    "masks" VARCHAR NOT NULL,
    "external" VARCHAR NOT NULL,
    "bars_hash" VARCHAR NOT NULL,
    "universe_key" VARCHAR,
    PRIMARY KEY ("account_id", "strategy_config_id", "tick_at")
);
