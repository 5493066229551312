"""Tables of the `ledger` database: everything a tick decided, did and was based on.

Whole ticks are written in one transaction. `recorded_at` and `run_fingerprint` are on every row, outside `ledger_hash`.
"""

import pandera.polars as pa
import polars as pl

from openclaw_pipelines.contracts.enums import (
    ExitReason,
    Leg,
    Mode,
    TickStatus,
)
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import ACTIONS, CODES, SIDES, STATES, Money, StrategyRow, TickRow, Time
from openclaw_pipelines.contracts.trading import DecisionStatus


class Ticks(TickRow):
    """One row per tick: the marker that makes it recorded."""

    status: str = pa.Field(isin=[status.value for status in TickStatus], description="inception, done or settled_only")
    reason: str = pa.Field(nullable=True, description="why a tick was settled only")
    mode: str = pa.Field(isin=[mode.value for mode in Mode], description="autonomy mode in force")
    shadow: bool = pa.Field(description="planned and previewed, executed nothing")
    kill_switch: str = pa.Field(description="strictest control in force")
    phases: str = pa.Field(description="JSON: each phase with what it counted, in order")
    state_hash: str = pa.Field(description="SHA-256 of the kernel state after the tick")
    program_version: str = pa.Field(description="version of the program that took the tick; outside the ledger hash")


class TickInputs(TickRow):
    """Everything a tick depended on. Verification and replay read this and nothing else."""

    config_fingerprint: str = pa.Field(description="SHA-256 of the merged configuration")
    context_hash: str = pa.Field(description="key of the tick_contexts row: instruments, parameters, limits")
    bars: str = pa.Field(description="JSON: per symbol the integer bar, its state and funding")
    masks: str = pa.Field(description="JSON: per symbol membership of the universe and the refusing control code")
    external: str = pa.Field(description="JSON: external proposals and approvals that entered at this tick")
    bars_hash: str = pa.Field(description="SHA-256 over the bars consumed up to this tick, chained")
    universe_key: str = pa.Field(nullable=True, description="universe snapshot in force")
    executor: str = pa.Field(nullable=True, description="what filled the orders; empty before it was recorded")
    reports: str = pa.Field(nullable=True, description="JSON: what the executor told since the tick before")
    signals: str = pa.Field(nullable=True, description="JSON: what a planner wanted, and who it is; empty for a family")
    sources: str = pa.Field(
        nullable=True, description="JSON: per symbol the market source of its bar; empty before it was recorded"
    )


class TickContexts(pa.DataFrameModel):
    """What many ticks share, stored once under its hash."""

    context_hash: str = pa.Field(description="SHA-256 of payload")
    payload: str = pa.Field(description="canonical JSON: interval, symbols, instruments, parameters, limits, controls")
    recorded_at: Time = pa.Field(description="when the row was written")

    class Config:
        strict = True


class KernelStates(TickRow):
    """Full kernel state at inception, at each day's end and at the latest tick."""

    state_hash: str = pa.Field(description="SHA-256 of state")
    state: pl.Binary = pa.Field(description="canonical bytes of the state")


class UniverseSnapshots(StrategyRow):
    """Candidates ranked as of 00:00Z. One row per strategy and day."""

    universe_key: str = pa.Field(description="universe:{account}:{strategy}:{day}")
    as_of: Time = pa.Field(description="nothing after this time was read")
    selected: str = pa.Field(description="JSON list of the symbols that may be entered, best first")
    candidates: str = pa.Field(description="JSON: per candidate its measures, score, rank and reason")
    scoring: str = pa.Field(description="JSON: weights and thresholds used")
    picked_by: str = pa.Field(description="ranking, floor, or previous")
    reason: str = pa.Field(nullable=True, description="why the ranking was not used as it stood")


class Proposals(TickRow):
    """What a planner asked for."""

    decision_key: str = pa.Field(description="key of the proposal and of the decision on it")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    planner: str = pa.Field(description="heuristic for a family, operator, or kind and name of a planner")
    action: str = pa.Field(isin=ACTIONS, description="enter, exit or hold")
    side: str = pa.Field(isin=SIDES, description="buy or sell")
    proposed_qty: Money = pa.Field(ge=0, description="quantity asked for, in base currency")
    intended_price: Money = pa.Field(ge=0, description="close at the tick")
    stop_distance: Money = pa.Field(nullable=True, description="stop from the fill, quote currency")
    target_distance: Money = pa.Field(nullable=True, description="target from the fill, quote currency")
    trail_distance: Money = pa.Field(nullable=True, description="trailing stop from the extreme, quote")
    confidence: float = pa.Field(ge=0, le=1, description="strength of the signal, 0 to 1")
    rank: int = pa.Field(ge=0, description="place among the tick's proposals, 0 first")
    rationale: str = pa.Field(description="why, in a sentence")
    features: str = pa.Field(description="JSON: indicator values that the planner saw")
    state: str = pa.Field(isin=STATES, description="state at the end of the tick")


class Decisions(TickRow):
    """The governor's verdict on a proposal. Refused ones are rows too."""

    decision_key: str = pa.Field(description="key of the decision")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    status: str = pa.Field(isin=[status.value for status in DecisionStatus], description="verdict")
    reason_code: str = pa.Field(isin=CODES, description="first failing check, NONE when approved")
    reason: str = pa.Field(description="the verdict as a person would say it")
    action: str = pa.Field(isin=ACTIONS, description="enter, exit or hold")
    side: str = pa.Field(isin=SIDES, description="buy or sell")
    proposed_qty: Money = pa.Field(ge=0, description="quantity asked for, in base currency")
    approved_qty: Money = pa.Field(ge=0, description="quantity allowed, in base currency")
    intended_price: Money = pa.Field(ge=0, description="close at the tick")
    measured: Money = pa.Field(nullable=True, description="what the failing check measured")
    limit_value: Money = pa.Field(nullable=True, description="what the failing check allows")
    confidence: float = pa.Field(ge=0, le=1, description="strength of the signal, 0 to 1")
    planner: str = pa.Field(description="heuristic for a family, operator, or kind and name of a planner")
    policy_source: str = pa.Field(
        description="where the deciding limits came from, the most specific layer: symbol override, binding (the "
        "strategy's own section), deployment, environment, overlay (its general section), or legacy default (the "
        "file's general section and code defaults). Under policies without a form, deployment, environment and overlay "
        "read legacy default"
    )
    policy_version_id: str = pa.Field(description="SHA-256 of the policy in force, a row of policy_versions")
    base_limits: str = pa.Field(description="JSON: limits as configured, with the layer each came from")
    effective_limits: str = pa.Field(description="JSON: limits as applied, with the factor that changed them")
    features: str = pa.Field(description="JSON: indicator values that the decision saw")
    rationale: str = pa.Field(description="why the planner asked")
    data_hash: str = pa.Field(description="SHA-256 over the bars consumed up to the tick")
    model_calls: str = pa.Field(description="JSON list of the model calls it rests on")
    universe_key: str = pa.Field(nullable=True, description="universe snapshot in force")


class Orders(TickRow):
    """Orders that were sent to the executor, and how they ended."""

    order_key: str = pa.Field(description="decision key and leg")
    decision_key: str = pa.Field(description="decision that the order carries out")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    leg: str = pa.Field(isin=[leg.name.lower() for leg in Leg], description="entry, exit, stop, target or liquidation")
    side: str = pa.Field(isin=SIDES, description="buy or sell")
    qty: Money = pa.Field(gt=0, description="quantity, in base currency")
    intended_price: Money = pa.Field(gt=0, description="close at the decision, or the protective level")
    reason: str = pa.Field(isin=[reason.name.lower() for reason in ExitReason], description="why, for exits")


class Fills(TickRow):
    """What the executor did with orders, and why it did not where it could not."""

    fill_key: str = pa.Field(description="order key and number")
    order_key: str = pa.Field(description="order that was filled")
    decision_key: str = pa.Field(description="decision that the order carries out")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    leg: str = pa.Field(isin=[leg.name.lower() for leg in Leg], description="entry, exit, stop, target or liquidation")
    side: str = pa.Field(isin=SIDES, description="buy or sell")
    status: str = pa.Field(
        isin=["filled", "partial", "reduced", "expired", "insufficient", "cancelled", "rejected"],
        description="how the order ended, or partial where it goes on",
    )
    reason_code: str = pa.Field(isin=CODES, description="why it was not filled")
    reason: str = pa.Field(description="why it was closed, or not filled, in words")
    bar_at: Time = pa.Field(description="open of the bar in which it filled")
    qty: Money = pa.Field(ge=0, description="quantity filled, in base currency")
    price: Money = pa.Field(ge=0, description="fill price, in quote currency")
    intended_price: Money = pa.Field(ge=0, description="price that the decision meant")
    fee: Money = pa.Field(ge=0, description="fee, in quote currency")
    slippage_bps: float = pa.Field(nullable=True, description="fill against intended price, positive costs money")
    cash_change: Money = pa.Field(description="change of cash, in quote currency")
    realized_pnl: Money = pa.Field(description="profit of the closed quantity before fees, in quote currency")


class Positions(TickRow):
    """Open positions after a tick."""

    symbol: str = pa.Field(description="instrument as ccxt writes it")
    side: str = pa.Field(isin=SIDES, description="buy for long, sell for short")
    qty: Money = pa.Field(gt=0, description="quantity, in base currency")
    entry_price: Money = pa.Field(gt=0, description="average fill of the entry, in quote currency")
    mark_price: Money = pa.Field(gt=0, description="last close, in quote currency")
    stale: bool = pa.Field(description="the bar of this tick was missing; marked at an older close")
    unrealized_pnl: Money = pa.Field(description="profit at the mark, before exit costs, in quote currency")
    margin: Money = pa.Field(ge=0, description="isolated margin, in quote currency; 0 for spot")
    stop_price: Money = pa.Field(nullable=True, description="fixed stop")
    trailing_stop_price: Money = pa.Field(nullable=True, description="trailing stop as raised so far")
    target_price: Money = pa.Field(nullable=True, description="target")
    liquidation_price: Money = pa.Field(nullable=True, description="liquidation")
    entry_decision_key: str = pa.Field(description="decision that opened it")
    bars_held: int = pa.Field(ge=0, description="settled bars since the entry")


class Equity(TickRow):
    """The sub-account after a tick, in quote currency."""

    cash: Money = pa.Field(description="cash")
    margin: Money = pa.Field(ge=0, description="margin of open positions")
    reserved: Money = pa.Field(ge=0, description="reserved for orders that are not settled")
    position_value: Money = pa.Field(description="value of spot positions plus unrealized profit of perpetuals")
    unrealized_pnl: Money = pa.Field(description="unrealized profit of all positions")
    equity: Money = pa.Field(description="cash plus position value")
    gross_exposure: Money = pa.Field(ge=0, description="sum of absolute position notionals")
    realized_pnl: Money = pa.Field(description="realized profit since inception, before fees and funding")
    fees: Money = pa.Field(ge=0, description="fees since inception")
    funding: Money = pa.Field(description="funding received since inception, negative when paid")
    day_open_equity: Money = pa.Field(description="equity at 00:00Z, the baseline of the daily loss")
    peak_equity: Money = pa.Field(description="highest equity since inception")
    open_positions: int = pa.Field(ge=0, description="number of open positions")


class FundingPayments(TickRow):
    """Funding charged to an open position inside a bar."""

    symbol: str = pa.Field(description="instrument as ccxt writes it")
    bar_at: Time = pa.Field(description="open of the bar in which it was due")
    entry_decision_key: str = pa.Field(description="decision that opened the position")
    qty: Money = pa.Field(description="signed quantity held, in base currency")
    price: Money = pa.Field(gt=0, description="price it was charged at, in quote currency")
    amount: Money = pa.Field(description="received in quote currency, negative when paid")


TABLES = (
    Table(
        "autopilot_ticks",
        "ledger",
        Ticks,
        key=("account_id", "strategy_config_id", "tick_at"),
        unhashed=("recorded_at", "run_fingerprint", "phases", "program_version"),
    ),
    Table("tick_inputs", "ledger", TickInputs, key=("account_id", "strategy_config_id", "tick_at")),
    Table("tick_contexts", "ledger", TickContexts, key=("context_hash",), unhashed=("recorded_at",)),
    Table("kernel_states", "ledger", KernelStates, key=("account_id", "strategy_config_id", "tick_at")),
    Table("autopilot_universe_snapshots", "ledger", UniverseSnapshots, key=("universe_key",)),
    Table("autopilot_proposals", "ledger", Proposals, key=("decision_key",), since="tick_at"),
    Table("autopilot_decisions", "ledger", Decisions, key=("decision_key",), since="tick_at"),
    Table("autopilot_orders", "ledger", Orders, key=("order_key",)),
    Table("autopilot_fills", "ledger", Fills, key=("fill_key",)),
    Table("autopilot_positions", "ledger", Positions, key=("account_id", "strategy_config_id", "symbol", "tick_at")),
    Table("autopilot_equity", "ledger", Equity, key=("account_id", "strategy_config_id", "tick_at")),
    Table(
        "autopilot_funding_payments",
        "ledger",
        FundingPayments,
        key=("account_id", "strategy_config_id", "symbol", "tick_at"),
    ),
)
