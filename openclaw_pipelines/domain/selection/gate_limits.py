"""What the gates require, and the row that each gate gives. The gates are in `gate_rules`."""

from dataclasses import dataclass
from decimal import Decimal

from openclaw_pipelines.contracts.requirements import Requirement
from openclaw_pipelines.domain.selection.bootstrap import LEAST_DAYS
from openclaw_pipelines.domain.selection.overfitting import SPLITS
from openclaw_pipelines.domain.selection.trials import LEAST_CORRELATION


@dataclass(frozen=True)
class GateLimits:
    """What the gates require; the defaults are those of the configuration.

    largest_overfitting_probability: 0.5 is what choosing blindly gives, so above it the backtest's choice is worse than
    none. It is no lower, because rows that all carry the same edge are ranked by noise and give 0.5 too; that the edge
    is no luck is what the deflated Sharpe ratio and the holdout are asked.
    random_quantile: at most 1 - this share of random entries may do as well.
    least_finer_share: part of the net result that must remain when exits are settled on finer candles.
    """

    least_holdout_days: int = LEAST_DAYS
    least_daily_return: float = 0.0
    confidence: float = 0.95
    resamples: int = 2_000
    stressed_slippage_bps: Decimal = Decimal(20)
    least_stressed_net: Decimal = Decimal(0)
    least_trades: int = 30
    largest_symbol_share: float = 0.5
    least_deflated_probability: float = 0.95
    least_correlation: float = LEAST_CORRELATION
    overfitting_splits: int = SPLITS
    largest_overfitting_probability: float = 0.5
    random_sets: int = 500
    random_quantile: float = 0.95
    least_finer_share: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Gate:
    """One gate of one candidate. `measured` is empty where it is undefined; then `reason` says why."""

    name: str
    measured: float | None
    required: Requirement
    passed: bool
    reason: str
    sample_size: int
