"""Tables of the `ledger` database that say under which limits, by whose word and with which result ticks were taken."""

import pandera.polars as pa

from openclaw_pipelines.contracts.governance import Answer
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import Money, StrategyRow, TickRow, Time


class ReconcileEvents(TickRow):
    """Accounting checks after each tick whose result deserves a row: every mismatch, and the first pass of each day."""

    check_name: str = pa.Field(description="what was compared")
    passed: bool = pa.Field(description="whether both sides agree")
    expected: Money = pa.Field(description="what the fills and funding add up to")
    measured: Money = pa.Field(description="what the account holds")
    message: str = pa.Field(description="the result in words")


class AdminActions(StrategyRow):
    """Append-only audit trail. Each row carries the hash of the one before it in its chain.

    A chain per strategy holds what became of proposals; that of the account, under `@account`, what people changed.
    """

    sequence: int = pa.Field(ge=1, description="place in the chain, from 1")
    action: str = pa.Field(description="what happened, as PROPOSAL_MOVED or KILL_SWITCH_CHANGED")
    subject: str = pa.Field(description="key, strategy, bar, file or environment that it is about")
    from_state: str = pa.Field(nullable=True, description="state before, in short; empty for the first")
    to_state: str = pa.Field(nullable=True, description="state after, in short")
    tick_at: Time = pa.Field(nullable=True, description="tick in which it happened; empty in the account's chain")
    actor: str = pa.Field(
        description="autopilot, operator with the name that the operating system knows, factory, lifecycle; for what "
        "was observed, the file or variable that says so"
    )
    details: str = pa.Field(description="canonical JSON; of the account's chain with reason and time (`at`)")
    prev_hash: str = pa.Field(description="row_hash of the row before, 64 zeros for the first")
    row_hash: str = pa.Field(description="SHA-256 over prev_hash and the business columns")


class OperatorRequests(StrategyRow):
    """Approvals and declines of an operator, waiting to enter a tick as recorded external input."""

    request_key: str = pa.Field(description="decision key and verdict")
    decision_key: str = pa.Field(description="decision that was awaiting approval")
    verdict: str = pa.Field(isin=[Answer.APPROVE.value, Answer.DECLINE.value], description="what the operator said")
    requested_at: Time = pa.Field(description="when it was said")


class PolicyVersions(StrategyRow):
    """Policies under which a strategy ticked, under their hash."""

    policy_version_id: str = pa.Field(description="SHA-256 of limits")
    limits: str = pa.Field(
        description="canonical JSON of the policy: limits with the layer of each, costs, mode, shadow, pause, size, "
        "ticks that an approval may take; with a form where its words are not those of the first"
    )
    first_tick_at: Time = pa.Field(description="the strategy's first tick under it")


class Configurations(pa.DataFrameModel):
    """Configurations that were seen, as the files say them, each once; the account's chain names them by hash."""

    account_id: str = pa.Field(description="account that was configured so")
    configuration_hash: str = pa.Field(description="SHA-256 of payload")
    config_fingerprint: str = pa.Field(description="fingerprint of the configuration with which it was first seen")
    payload: str = pa.Field(
        description="canonical JSON: dotted key -> value and layer, as without environment variables; secrets masked"
    )
    recorded_at: Time = pa.Field(description="when it was first seen")

    class Config:
        strict = True


class Notifications(StrategyRow):
    """Alerts waiting to be sent or sent, de-duplicated by key."""

    notification_key: str = pa.Field(description="{kind}:{subject}:{bucket}")
    kind: str = pa.Field(description="kind of alert, as stalled_strategy")
    severity: str = pa.Field(isin=["info", "warning", "error"], description="how urgent")
    subject: str = pa.Field(description="what it is about")
    message: str = pa.Field(description="what happened and what to do")
    raised_at: Time = pa.Field(description="when it was first raised")
    dispatched: bool = pa.Field(description="whether it was sent")


class Seals(pa.DataFrameModel):
    """What a strategy's ledger held at the end of each day; each seal covers the one before it. Rows never change."""

    account_id: str = pa.Field(description="account the strategy trades for")
    strategy_config_id: str = pa.Field(description="name of the strategy")
    day: str = pa.Field(description="day that is sealed, YYYY-MM-DD; the tick at the next 00:00Z belongs to it")
    row_count: int = pa.Field(ge=0, description="rows that it covers")
    tables: str = pa.Field(description="JSON: table -> its rows of the day and the SHA-256 over all of their columns")
    audit_rows: int = pa.Field(ge=0, description="length of the strategy's audit trail when the day was sealed")
    audit_hash: str = pa.Field(description="row_hash of its newest row then, 64 zeros without one")
    account_rows: int = pa.Field(ge=0, description="length of the account's audit trail then")
    account_hash: str = pa.Field(description="row_hash of its newest row then, 64 zeros without one")
    program_version: str = pa.Field(description="version of the program that sealed the day")
    sealed_at: Time = pa.Field(description="when it was sealed, UTC")
    prev_seal: str = pa.Field(description="seal of the day before, 64 zeros for the first")
    seal: str = pa.Field(description="SHA-256 over prev_seal and all other columns")

    class Config:
        strict = True


TABLES = (
    Table(
        "reconcile_events", "ledger", ReconcileEvents, key=("account_id", "strategy_config_id", "tick_at", "check_name")
    ),
    Table("admin_actions", "ledger", AdminActions, key=("account_id", "strategy_config_id", "sequence")),
    Table("operator_requests", "ledger", OperatorRequests, key=("request_key",)),
    Table("policy_versions", "ledger", PolicyVersions, key=("account_id", "strategy_config_id", "policy_version_id")),
    Table("configurations", "ledger", Configurations, key=("account_id", "configuration_hash")),
    Table("notifications_outbox", "ledger", Notifications, key=("notification_key",)),
    Table("seals", "ledger", Seals, key=("account_id", "strategy_config_id", "day"), unhashed=("sealed_at",)),
)
