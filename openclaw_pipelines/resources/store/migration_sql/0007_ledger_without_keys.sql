-- No table declares its key any more: DuckDB wrote the index of a whole table anew at each checkpoint. Every row stays;
-- that a key is written once is asked of the rows themselves.

ALTER TABLE admin_actions RENAME TO admin_actions_keyed;

CREATE TABLE admin_actions (
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
    "row_hash" VARCHAR NOT NULL
);

INSERT INTO admin_actions BY NAME SELECT * FROM admin_actions_keyed;

DROP TABLE admin_actions_keyed;

ALTER TABLE autopilot_decisions RENAME TO autopilot_decisions_keyed;

CREATE TABLE autopilot_decisions (
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
    "universe_key" VARCHAR
);

INSERT INTO autopilot_decisions BY NAME SELECT * FROM autopilot_decisions_keyed;

DROP TABLE autopilot_decisions_keyed;

ALTER TABLE autopilot_equity RENAME TO autopilot_equity_keyed;

CREATE TABLE autopilot_equity (
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
    "open_positions" BIGINT NOT NULL
);

INSERT INTO autopilot_equity BY NAME SELECT * FROM autopilot_equity_keyed;

DROP TABLE autopilot_equity_keyed;

ALTER TABLE autopilot_fills RENAME TO autopilot_fills_keyed;

CREATE TABLE autopilot_fills (
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
    "realized_pnl" DECIMAL(38,18) NOT NULL
);

INSERT INTO autopilot_fills BY NAME SELECT * FROM autopilot_fills_keyed;

DROP TABLE autopilot_fills_keyed;

ALTER TABLE autopilot_funding_payments RENAME TO autopilot_funding_payments_keyed;

CREATE TABLE autopilot_funding_payments (
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
    "amount" DECIMAL(38,18) NOT NULL
);

INSERT INTO autopilot_funding_payments BY NAME SELECT * FROM autopilot_funding_payments_keyed;

DROP TABLE autopilot_funding_payments_keyed;

ALTER TABLE autopilot_metrics RENAME TO autopilot_metrics_keyed;

CREATE TABLE autopilot_metrics (
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
    "reason" VARCHAR
);

INSERT INTO autopilot_metrics BY NAME SELECT * FROM autopilot_metrics_keyed;

DROP TABLE autopilot_metrics_keyed;

ALTER TABLE autopilot_orders RENAME TO autopilot_orders_keyed;

CREATE TABLE autopilot_orders (
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
    "reason" VARCHAR NOT NULL
);

INSERT INTO autopilot_orders BY NAME SELECT * FROM autopilot_orders_keyed;

DROP TABLE autopilot_orders_keyed;

ALTER TABLE autopilot_outcomes RENAME TO autopilot_outcomes_keyed;

CREATE TABLE autopilot_outcomes (
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
    "reason" VARCHAR
);

INSERT INTO autopilot_outcomes BY NAME SELECT * FROM autopilot_outcomes_keyed;

DROP TABLE autopilot_outcomes_keyed;

ALTER TABLE autopilot_positions RENAME TO autopilot_positions_keyed;

CREATE TABLE autopilot_positions (
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
    "bars_held" BIGINT NOT NULL
);

INSERT INTO autopilot_positions BY NAME SELECT * FROM autopilot_positions_keyed;

DROP TABLE autopilot_positions_keyed;

ALTER TABLE autopilot_proposals RENAME TO autopilot_proposals_keyed;

CREATE TABLE autopilot_proposals (
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
    "state" VARCHAR NOT NULL
);

INSERT INTO autopilot_proposals BY NAME SELECT * FROM autopilot_proposals_keyed;

DROP TABLE autopilot_proposals_keyed;

ALTER TABLE autopilot_ticks RENAME TO autopilot_ticks_keyed;

CREATE TABLE autopilot_ticks (
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
    "program_version" VARCHAR NOT NULL
);

INSERT INTO autopilot_ticks BY NAME SELECT * FROM autopilot_ticks_keyed;

DROP TABLE autopilot_ticks_keyed;

ALTER TABLE autopilot_universe_snapshots RENAME TO autopilot_universe_snapshots_keyed;

CREATE TABLE autopilot_universe_snapshots (
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
    "reason" VARCHAR
);

INSERT INTO autopilot_universe_snapshots BY NAME SELECT * FROM autopilot_universe_snapshots_keyed;

DROP TABLE autopilot_universe_snapshots_keyed;

ALTER TABLE configurations RENAME TO configurations_keyed;

CREATE TABLE configurations (
    "account_id" VARCHAR NOT NULL,
    "configuration_hash" VARCHAR NOT NULL,
    "config_fingerprint" VARCHAR NOT NULL,
    "payload" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO configurations BY NAME SELECT * FROM configurations_keyed;

DROP TABLE configurations_keyed;

ALTER TABLE kernel_states RENAME TO kernel_states_keyed;

CREATE TABLE kernel_states (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "deployment_id" VARCHAR NOT NULL,
    "tick_at" TIMESTAMPTZ NOT NULL,
    "state_hash" VARCHAR NOT NULL,
    "state" BLOB NOT NULL
);

INSERT INTO kernel_states BY NAME SELECT * FROM kernel_states_keyed;

DROP TABLE kernel_states_keyed;

ALTER TABLE notifications_outbox RENAME TO notifications_outbox_keyed;

CREATE TABLE notifications_outbox (
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
    "dispatched" BOOLEAN NOT NULL
);

INSERT INTO notifications_outbox BY NAME SELECT * FROM notifications_outbox_keyed;

DROP TABLE notifications_outbox_keyed;

ALTER TABLE operator_requests RENAME TO operator_requests_keyed;

CREATE TABLE operator_requests (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "request_key" VARCHAR NOT NULL,
    "decision_key" VARCHAR NOT NULL,
    "verdict" VARCHAR NOT NULL,
    "requested_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO operator_requests BY NAME SELECT * FROM operator_requests_keyed;

DROP TABLE operator_requests_keyed;

ALTER TABLE policy_versions RENAME TO policy_versions_keyed;

CREATE TABLE policy_versions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "policy_version_id" VARCHAR NOT NULL,
    "limits" VARCHAR NOT NULL,
    "first_tick_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO policy_versions BY NAME SELECT * FROM policy_versions_keyed;

DROP TABLE policy_versions_keyed;

ALTER TABLE reconcile_events RENAME TO reconcile_events_keyed;

CREATE TABLE reconcile_events (
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
    "message" VARCHAR NOT NULL
);

INSERT INTO reconcile_events BY NAME SELECT * FROM reconcile_events_keyed;

DROP TABLE reconcile_events_keyed;

ALTER TABLE seals RENAME TO seals_keyed;

CREATE TABLE seals (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "row_count" BIGINT NOT NULL,
    "tables" VARCHAR NOT NULL,
    "audit_rows" BIGINT NOT NULL,
    "audit_hash" VARCHAR NOT NULL,
    "account_rows" BIGINT NOT NULL,
    "account_hash" VARCHAR NOT NULL,
    "program_version" VARCHAR NOT NULL,
    "sealed_at" TIMESTAMPTZ NOT NULL,
    "prev_seal" VARCHAR NOT NULL,
    "seal" VARCHAR NOT NULL
);

INSERT INTO seals BY NAME SELECT * FROM seals_keyed;

DROP TABLE seals_keyed;

ALTER TABLE tick_contexts RENAME TO tick_contexts_keyed;

CREATE TABLE tick_contexts (
    "context_hash" VARCHAR NOT NULL,
    "payload" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL
);

INSERT INTO tick_contexts BY NAME SELECT * FROM tick_contexts_keyed;

DROP TABLE tick_contexts_keyed;

ALTER TABLE tick_inputs RENAME TO tick_inputs_keyed;

CREATE TABLE tick_inputs (
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
    "executor" VARCHAR,
    "reports" VARCHAR,
    "signals" VARCHAR,
    "sources" VARCHAR
);

INSERT INTO tick_inputs BY NAME SELECT * FROM tick_inputs_keyed;

DROP TABLE tick_inputs_keyed;
