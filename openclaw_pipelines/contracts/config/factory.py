"""What a factory cycle searches, and what a candidate must show."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.values import Cost, Day, Section, Share, Weight


class SearchMethod(StrEnum):
    """How a sweep chooses its parameter rows."""

    GRID = "grid"
    SOBOL = "sobol"
    OPTUNA = "optuna"


class SweepDevice(StrEnum):
    """What runs a sweep."""

    CPU = "cpu"
    GPU = "gpu"


class Recipe(Section):
    """What one factory cycle searches, on which days, and how its candidates are listed and compared."""

    strategy: str = Field(description="strategy to search for: its account, interval, symbols, limits and costs hold")
    first_day: Day = Field(description="first day of the range that is cut into train and holdout")
    last_day: Day = Field(description="last day of that range, itself included")
    holdout_days: int = Field(ge=1, le=3_650, description="days at the end that judge and are never searched")
    longest_hold_hours: int = Field(
        24, ge=0, le=8_760, description="longest holding time; it and the warm-up are left out between the two"
    )
    profile: str = Field("strict", pattern="^(strict|freqtrade)$", description="candle rules")
    method: SearchMethod = Field(SearchMethod.SOBOL, strict=False, description="grid, sobol or optuna")
    rows: int = Field(256, ge=1, le=1_000_000, description="parameter rows proposed per family; the most of a grid")
    batches: int = Field(
        4, ge=1, le=8, description="batches of an optuna search, a divisor of 8: each learns from those before it"
    )
    seed: int = Field(0, ge=0, description="seed of the search, the sample and the resampling")
    device: SweepDevice = Field(
        SweepDevice.CPU, strict=False, description="cpu, or gpu: the GPU sweeps once it is trusted, until then the CPU"
    )
    spaces: dict[str, dict[str, object]] = Field(
        min_length=1, description="family -> parameter -> list of values, or low, high and optionally step or log"
    )
    per_channel: int = Field(2, ge=1, le=100, description="candidates per channel of the shortlist")
    least_trades: int = Field(30, ge=1, description="closed trades on the train days that a candidate needs")
    efficient_floor: Weight = Field(0.02, description="daily Sharpe ratio by which a candidate must beat the incumbent")
    growth_floor_bps: Share = Field(100, description="return on capital by which a candidate must beat the incumbent")
    conservative_floor_bps: Share = Field(100, description="drawdown by which a candidate must beat the incumbent")
    parity_rows: int = Field(20, ge=0, le=100_000, description="random rows whose sweep is compared with a replay")


class Gates(Section):
    """What a candidate must show on the holdout, and about the search that found it, before it may be deployed.

    `confidence` and `random_quantile` are shared out among the candidates of a cycle (Bonferroni).
    """

    least_holdout_days: int = Field(5, ge=2, description="days of the holdout")
    least_daily_return: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = Field(
        0.0, description="mean daily return of the holdout must be above, and so must its interval's lower end"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="of the block-bootstrap interval")
    resamples: int = Field(2_000, ge=100, le=1_000_000, description="resamples of the bootstrap")
    stressed_slippage_bps: Cost = Field(Decimal(20), description="slippage at which the holdout must still earn")
    least_trades: int = Field(30, ge=1, description="closed trades of the holdout")
    largest_symbol_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="share of the net that the best symbol must be below"
    )
    least_deflated_probability: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.95, description="deflated Sharpe ratio, with every trial ever run and with clustered trials"
    )
    overfitting_splits: int = Field(10, ge=2, le=16, description="even number of blocks of train days")
    largest_overfitting_probability: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="probability of backtest overfitting"
    )
    random_sets: int = Field(500, ge=20, le=100_000, description="sets of random entries")
    random_quantile: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.95, description="share of random entries that must be beaten"
    )
    least_finer_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="part of the net that must remain when exits are settled on finer candles"
    )
