"""The table of the `research` database that says what is deployed."""

import pandera.polars as pa
import polars as pl

from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import Money, Time
from openclaw_pipelines.contracts.time import INTERVALS

STAGES = [stage.value for stage in Stage]
TRIGGERS = [trigger.value for trigger in Trigger]


class Deployments(pa.DataFrameModel):
    """Append-only log of every transition of a deployed strategy; its last row is what it is now.

    Each row carries the hash of the one before it, over all strategies of the account.
    """

    account_id: str = pa.Field(description="account the strategy trades for")
    sequence: int = pa.Field(ge=1, description="place in the account's chain, from 1")
    transition: int = pa.Field(ge=1, description="sequence of the first row of what moved together")
    strategy_config_id: str = pa.Field(description="name of the deployed strategy: slot, parameters and first day")
    slot: str = pa.Field(
        description="strategy of the recipe whose place it may take; one strategy of a slot is promoted"
    )
    from_state: str = pa.Field(isin=STAGES, description="stage before")
    to_state: str = pa.Field(isin=STAGES, description="candidate, validated, paper, promoted, paused or retired")
    from_ramp_bps: int = pa.Field(ge=0, le=10_000, description="size before")
    ramp_bps: int = pa.Field(ge=0, le=10_000, description="share of full size, 10,000 is full")
    family: str = pa.Field(description="strategy family of the kernel")
    params: str = pa.Field(description="JSON: every parameter of the family")
    params_hash: str = pa.Field(description="SHA-256 of the parameters, the one that was swept, replayed and judged")
    interval: str = pa.Field(isin=list(INTERVALS), description="bar length")
    symbols: str = pa.Field(description="JSON: instruments it was judged on and trades")
    capital: Money = pa.Field(gt=0, description="starting cash of its sub-account, quote currency")
    section: str = pa.Field(description="JSON: overrides it takes over from its slot, each as YAML text")
    start_day: pl.Date = pa.Field(description="inception at 00:00Z of this day")
    cycle_id: str = pa.Field(description="cycle that found the parameters")
    gate_hash: str = pa.Field(description="SHA-256 of the gate results it rests on")
    parity_hash: str = pa.Field(description="SHA-256 of the parity reports it rests on")
    trigger: str = pa.Field(isin=TRIGGERS, description="cycle, schedule, operator, kill_switch or rollback")
    actor: str = pa.Field(description="factory, lifecycle, or operator with the name of who ran the command")
    metrics: str = pa.Field(description="JSON: what was measured, with what was required and sample sizes")
    reason: str = pa.Field(description="why, for people")
    at: Time = pa.Field(description="as-of time of the transition, UTC")
    undoes: int = pa.Field(nullable=True, description="transition that this one rolls back")
    prev_hash: str = pa.Field(description="row_hash of the row before, 64 zeros for the first")
    row_hash: str = pa.Field(description="SHA-256 over prev_hash and the business columns")
    recorded_at: Time = pa.Field(description="when the row was written")

    class Config:
        strict = True


TABLES = (Table("deployments", "research", Deployments, key=("account_id", "sequence"), unhashed=("recorded_at",)),)
