-- The key gets account and strategy: two strategies under equal policies had one row, that of whichever ticked first.
-- Every row stays; a strategy that had none gets its own, as of its first tick under that policy.

ALTER TABLE policy_versions RENAME TO policy_versions_before;

CREATE TABLE policy_versions (
    "account_id" VARCHAR NOT NULL,
    "strategy_config_id" VARCHAR NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "run_fingerprint" VARCHAR NOT NULL,
    "policy_version_id" VARCHAR NOT NULL,
    "limits" VARCHAR NOT NULL,
    "first_tick_at" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("account_id", "strategy_config_id", "policy_version_id")
);

INSERT INTO policy_versions BY NAME SELECT * FROM policy_versions_before;

-- canonical JSON has sorted keys, so that a context ends with its policy
INSERT INTO policy_versions BY NAME
SELECT
    i.account_id,
    i.strategy_config_id,
    arg_min(i.recorded_at, i.tick_at) AS recorded_at,
    arg_min(i.run_fingerprint, i.tick_at) AS run_fingerprint,
    p.policy_version_id,
    p.limits,
    min(i.tick_at) AS first_tick_at
FROM tick_inputs AS i
JOIN tick_contexts AS c USING (context_hash)
JOIN policy_versions_before AS p ON suffix(c.payload, '"policy":' || p.limits || '}')
ANTI JOIN policy_versions_before AS known
    ON known.account_id = i.account_id
    AND known.strategy_config_id = i.strategy_config_id
    AND known.policy_version_id = p.policy_version_id
GROUP BY i.account_id, i.strategy_config_id, p.policy_version_id, p.limits;

DROP TABLE policy_versions_before;
