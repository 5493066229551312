-- What each strategy's ledger held at the end of each day.

CREATE TABLE IF NOT EXISTS seals (
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
    "seal" VARCHAR NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "day")
);
