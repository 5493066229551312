"""Tables of the `research` database: what the strategy factory tried, compared, judged and deployed.

Rows of one cycle belong to one contract (code, bars, windows, costs, limits), whose hash is in the cycle's identifier,
so that computing them again gives the same rows. Rules are in `domain.factory`, `domain.selection`, `domain.lifecycle`.
"""

import pandera.polars as pa
import polars as pl

from openclaw_pipelines.contracts.factory import (
    Channel,
    Comparison,
    CycleState,
    Listing,
    Logged,
    ParityClass,
    Variant,
)
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import Money, Time
from openclaw_pipelines.contracts.time import INTERVALS


class _CycleRow(pa.DataFrameModel):
    cycle_id: str = pa.Field(description="recipe, window and hash of the cycle's contract")
    recorded_at: Time = pa.Field(description="when the row was written")

    class Config:
        strict = True


class _Candidate(_CycleRow):
    family: str = pa.Field(description="strategy family of the kernel")
    params: str = pa.Field(description="JSON: every parameter of the family")
    params_hash: str = pa.Field(description="SHA-256 of the parameters, checked at each hand-over")

    class Config:
        strict = True


class FactoryCycles(_CycleRow):
    """One factory cycle: its contract and how far it came."""

    recipe: str = pa.Field(description="name under `factory.recipes`")
    account_id: str = pa.Field(description="account of the strategy")
    strategy_config_id: str = pa.Field(description="strategy that a candidate would be deployed as")
    contract: str = pa.Field(description="canonical JSON: everything that decides the cycle's rows")
    contract_hash: str = pa.Field(description="SHA-256 of contract")
    code_version: str = pa.Field(description="SHA-256 of the kernel's sources")
    bars_hash: str = pa.Field(description="SHA-256 of the bars of the whole range with their warm-up")
    interval: str = pa.Field(isin=list(INTERVALS), description="bar length")
    train_start: Time = pa.Field(description="first bar's open of the window that is searched")
    train_end: Time = pa.Field(description="end of that window, exclusive")
    holdout_start: Time = pa.Field(description="first bar's open of the window that judges")
    holdout_end: Time = pa.Field(description="end of that window, exclusive")
    state: str = pa.Field(isin=[state.value for state in CycleState], description="how far the cycle came")
    blocked_by: str = pa.Field(nullable=True, description="first gate or comparison that blocked; empty otherwise")
    reason: str = pa.Field(nullable=True, description="what it measured")
    updated_at: Time = pa.Field(description="when the state last changed")

    class Config:
        strict = True


class SweepShards(_CycleRow):
    """One finished shard of a sweep; its rows were written in the same transaction."""

    shard: str = pa.Field(description="number of the shard, as a partition key")
    first_row: int = pa.Field(ge=0, description="number of its first parameter row in the cycle")
    row_count: int = pa.Field(ge=0, description="parameter rows")
    contract: str = pa.Field(description="canonical JSON: the contract that its runs were made under")
    contract_hash: str = pa.Field(description="SHA-256 of contract")
    content_hash: str = pa.Field(description="SHA-256 over bars, contract, parameters and everything found")
    rate: float = pa.Field(nullable=True, description="parameter rows x bars x symbols per second, when it ran")
    device: str = pa.Field(nullable=True, description="GPU that ran it; empty for the CPU")

    class Config:
        strict = True


class TrialCounts(_CycleRow):
    """Trials per shard and family. Their sum over all cycles is what the deflated Sharpe ratio counts."""

    shard: str = pa.Field(description="number of the shard")
    family: str = pa.Field(description="strategy family of the kernel")
    trials: int = pa.Field(ge=0, description="parameter rows that were run")
    skipped: int = pa.Field(ge=0, description="combinations that contradict themselves; never run, never repaired")

    class Config:
        strict = True


class SweepResults(_Candidate):
    """One parameter row of a sweep over the train window. Money in quote currency."""

    row_index: int = pa.Field(ge=0, description="number of the row in the cycle")
    shard: str = pa.Field(description="shard that ran it")
    interval: str = pa.Field(isin=list(INTERVALS), description="bar length")
    net: Money = pa.Field(description="final equity less capital, after the cost of closing what is open")
    gross_profit: Money = pa.Field(description="sum of the winners' net")
    gross_loss: Money = pa.Field(description="sum of the losers' net, positive")
    turnover: Money = pa.Field(description="sum of all fills' notional")
    fees: Money = pa.Field(description="fees paid")
    funding: Money = pa.Field(description="funding received less paid")
    entries: int = pa.Field(ge=0, description="entries filled")
    trades: int = pa.Field(ge=0, description="closed trades")
    wins: int = pa.Field(ge=0, description="closed trades with a positive net")
    liquidations: int = pa.Field(ge=0, description="positions liquidated")
    refused: int = pa.Field(ge=0, description="entries refused at their fill")
    expired: int = pa.Field(ge=0, description="entries that found no tradable bar")
    held_seconds: int = pa.Field(ge=0, description="sum of the closed trades' holding times")
    longest_hold_seconds: int = pa.Field(ge=0, description="longest of them")
    max_drawdown: float = pa.Field(description="share of the peak, over every tick")
    return_total: float = pa.Field(description="net over capital")
    profit_factor: float = pa.Field(nullable=True, description="gross profit over gross loss; empty without losses")
    sharpe_day: float = pa.Field(nullable=True, description="mean over deviation of daily returns, not annualised")
    events_digest: int = pa.Field(description="40-bit digest of every event in order; equal digests are equal trades")
    symbols: str = pa.Field(description="JSON: per symbol its closed trades and their net in atoms")
    day_equity: pl.Binary = pa.Field(description="equity in atoms at the end of each day, int64 little-endian")
    bits_hash: str = pa.Field(description="SHA-256 of everything the kernel found for the row")

    class Config:
        strict = True


class Shortlist(_Candidate):
    """Best rows per channel. Rank 0 is the incumbent, ranks from 1 are candidates."""

    channel: str = pa.Field(isin=[channel.value for channel in Channel], description="what the rows are ordered by")
    rank: int = pa.Field(ge=0, description="place in the channel; 0 is the deployed strategy")
    row_index: int = pa.Field(nullable=True, description="row of the sweep; empty for an incumbent that was no row")
    score: float = pa.Field(nullable=True, description="what the channel orders by")
    measures: str = pa.Field(description="JSON: score and tie-breakers")
    status: str = pa.Field(
        isin=[status.value for status in Listing],
        description="candidate, below the materiality floor, incumbent, or incumbent that no candidate beats",
    )
    reason: str = pa.Field(description="why it has this status")

    class Config:
        strict = True


class Replays(_Candidate):
    """A replay with full events of one parameter row on one window under one cost model."""

    variant: str = pa.Field(isin=[variant.value for variant in Variant], description="window and costs")
    interval: str = pa.Field(isin=list(INTERVALS), description="bars that orders settle on")
    window_start: Time = pa.Field(description="first bar's open")
    window_end: Time = pa.Field(description="end, exclusive")
    slippage_bps: Money = pa.Field(description="slippage of market and stop fills")
    contract: str = pa.Field(description="canonical JSON: what decided the run besides its parameters")
    contract_hash: str = pa.Field(description="SHA-256 of contract")
    content_hash: str = pa.Field(description="SHA-256 over bars, contract and everything the run wrote")
    bits_hash: str = pa.Field(description="SHA-256 of what a sweep would have found for the row")
    net: Money = pa.Field(description="final equity less capital, after the cost of closing what is open")
    fees: Money = pa.Field(description="fees paid")
    funding: Money = pa.Field(description="funding received less paid")
    trades: int = pa.Field(ge=0, description="closed trades")
    max_drawdown: float = pa.Field(description="share of the peak, over every tick")
    day_equity: pl.Binary = pa.Field(description="equity in atoms at the end of each day, int64 little-endian")
    trade_log: pl.Binary = pa.Field(description="closed trades as Parquet; empty for the parity sample")

    class Config:
        strict = True


class ParityReports(_CycleRow):
    """One comparison of two runs that must be equal to the last bit."""

    comparison: str = pa.Field(isin=[kind.value for kind in Comparison], description="the two sides")
    params_hash: str = pa.Field(description="SHA-256 of the parameters")
    sample: str = pa.Field(isin=["shortlist", "random", "recorded"], description="why it was compared")
    verdict: str = pa.Field(isin=[kind.value for kind in ParityClass], description="what was found")
    code_version: str = pa.Field(description="SHA-256 of the kernel's sources; another one makes the report stale")
    bars_hash: str = pa.Field(description="SHA-256 of the bars compared; another one makes the report stale")
    left_contract: str = pa.Field(description="SHA-256 of the contract of the first side")
    right_contract: str = pa.Field(description="SHA-256 of the contract of the second side")
    left_hash: str = pa.Field(description="SHA-256 of what the first side found")
    right_hash: str = pa.Field(description="SHA-256 of what the second side found")
    differing: str = pa.Field(description="JSON: contract fields, or totals, that differ")
    first_difference: str = pa.Field(
        nullable=True, description="JSON: first differing trade: symbol, time, field, both"
    )
    symbols: str = pa.Field(description="JSON: per symbol its class")
    report_hash: str = pa.Field(description="SHA-256 of the report without times")
    device: str = pa.Field(nullable=True, description="GPU that swept one of the sides; empty for the CPU")

    class Config:
        strict = True


class GpuComparisons(_CycleRow):
    """Append-only log of what a GPU was compared in, by which it is trusted or not. Rows are never removed."""

    number: int = pa.Field(ge=1, description="place in the log, from 1")
    shard: str = pa.Field(nullable=True, description="shard that it swept and that was not stored; empty for a cycle")
    device: str = pa.Field(nullable=True, description="GPU; empty where a cycle was compared without one")
    code_version: str = pa.Field(description="SHA-256 of the kernel's sources; another one does not count")
    compared: int = pa.Field(ge=0, description="parameter rows that were run on both")
    differing: int = pa.Field(ge=0, description="those that were not equal to the last bit")

    class Config:
        strict = True


class GateResults(_CycleRow):
    """One gate of one candidate."""

    params_hash: str = pa.Field(description="SHA-256 of the parameters")
    gate: str = pa.Field(description="name of the gate")
    position: int = pa.Field(ge=0, description="order of evaluation; the first that failed blocks")
    measured: float = pa.Field(nullable=True, description="empty where undefined")
    required: str = pa.Field(description="what must hold")
    passed: bool = pa.Field(description="whether it held")
    reason: str = pa.Field(description="what was measured, or why it is undefined")
    sample_size: int = pa.Field(ge=0, description="observations")
    evidence_hash: str = pa.Field(description="SHA-256 over the hashes of all that the candidate's gates looked at")

    class Config:
        strict = True


class HoldoutLooks(_CycleRow):
    """One look at a holdout. Rows are never removed: a window looked at promotes the family no more."""

    look_key: str = pa.Field(description="family, window, purpose and cycle")
    family: str = pa.Field(description="strategy family of the kernel")
    window_start: Time = pa.Field(description="first bar's open")
    window_end: Time = pa.Field(description="end, exclusive")
    purpose: str = pa.Field(description="promotion or report")

    class Config:
        strict = True


class FactoryLog(_CycleRow):
    """Append-only log of what cycles stored and dropped, one row per shard, replay, report, candidate, look and state.

    Each row carries the hash of the one before it, over all cycles: a look or a trial of one decides gates of another.
    """

    sequence: int = pa.Field(ge=1, description="place in the log, from 1")
    action: str = pa.Field(isin=[kind.value for kind in Logged], description="stored or dropped")
    table_name: str = pa.Field(description="table of the rows")
    subject: str = pa.Field(description="which of the cycle's rows; empty for all of them")
    row_count: int = pa.Field(ge=0, description="rows")
    content_hash: str = pa.Field(description="SHA-256 over the business columns of the rows; empty where dropped")
    rests_on: int = pa.Field(
        nullable=True, description="newest row of the log when it was computed, where rows of other cycles decide too"
    )
    prev_hash: str = pa.Field(description="row_hash of the row before, 64 zeros for the first")
    row_hash: str = pa.Field(description="SHA-256 over prev_hash and the business columns")

    class Config:
        strict = True


TABLES = (
    Table("factory_cycles", "research", FactoryCycles, key=("cycle_id",), unhashed=("recorded_at", "updated_at")),
    Table(
        "sweep_shards", "research", SweepShards, key=("cycle_id", "shard"), unhashed=("recorded_at", "rate", "device")
    ),
    Table("trial_counts", "research", TrialCounts, key=("cycle_id", "shard", "family"), unhashed=("recorded_at",)),
    Table("sweep_results", "research", SweepResults, key=("cycle_id", "row_index"), unhashed=("recorded_at",)),
    Table("shortlist", "research", Shortlist, key=("cycle_id", "channel", "rank"), unhashed=("recorded_at",)),
    Table("replays", "research", Replays, key=("cycle_id", "params_hash", "variant"), unhashed=("recorded_at",)),
    Table(
        "parity_reports",
        "research",
        ParityReports,
        key=("cycle_id", "comparison", "params_hash"),
        unhashed=("recorded_at",),
    ),
    Table("gpu_comparisons", "research", GpuComparisons, key=("number",), unhashed=("recorded_at",)),
    Table("gate_results", "research", GateResults, key=("cycle_id", "params_hash", "gate"), unhashed=("recorded_at",)),
    Table("holdout_looks", "research", HoldoutLooks, key=("look_key",), unhashed=("recorded_at",)),
    Table("factory_log", "research", FactoryLog, key=("sequence",), unhashed=("recorded_at",)),
)
