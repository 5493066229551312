-- Configurations that were seen, each once, which rows of the account's chain in admin_actions name by hash.

CREATE TABLE IF NOT EXISTS configurations (
    "account_id" VARCHAR NOT NULL,
    "configuration_hash" VARCHAR NOT NULL,
    "config_fingerprint" VARCHAR NOT NULL,
    "payload" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("account_id", "configuration_hash")
);
