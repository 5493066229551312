"""The shape of the configuration: every setting, its type, its bounds and its default.

Layers, provenance, fingerprints and environment variables are in `settings`.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from openclaw_pipelines.contracts.enums import KillSwitch, MarketType, Mode, SourceKind

_DECIMAL = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _exact(value: object) -> object:
    """Whole numbers, decimals and decimal text; a binary float has already lost the digits that were written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    raise ValueError("must be a decimal number")


def _day(value: object) -> object:
    """Only days as they stand in partition keys; pydantic alone would read 20250510 as seconds since the epoch."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("must be a day as 2025-05-10")
    if not isinstance(value, str | date) or isinstance(value, datetime):
        raise ValueError("must be a day as 2025-05-10")
    return value


Capital = Annotated[Decimal, Field(gt=0, le=Decimal(10_000_000)), BeforeValidator(_exact)]
Day = Annotated[date, BeforeValidator(_day), Field(strict=False)]
Bps = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[int, Field(ge=0, le=10_000)]
Money = Annotated[Decimal, Field(ge=0, le=Decimal(10_000_000)), BeforeValidator(_exact)]
Amount = Annotated[Decimal, Field(ge=0, le=Decimal(10) ** 13), BeforeValidator(_exact)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]
Cost = Annotated[Decimal, Field(ge=0, le=500), BeforeValidator(_exact)]
Ratio = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]
Factor = Annotated[Decimal, Field(ge=0, le=1_000), BeforeValidator(_exact)]
Weight = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]


class _Settings(BaseModel):
    # strict: `"5"`, `true` and `5.5` are no whole numbers
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Risk(_Settings):
    """Limits that the governor enforces. All can be overridden per strategy, those of one position also per symbol."""

    max_order_notional: Money = Field(Decimal(5_000), description="largest order, quote currency")
    min_order_notional: Money = Field(
        Decimal(0), description="smallest order, quote currency; the instrument's own minimum applies too"
    )
    max_position_qty: Amount = Field(Decimal(0), description="largest position, base currency; 0 is no limit")
    max_position_notional: Money = Field(Decimal(5_000), description="largest position, quote currency")
    max_position_pct_equity_bps: Bps = Field(5_000, description="largest position as a share of equity")
    max_symbol_concentration_bps: Bps = Field(
        10_000, description="largest share of gross exposure plus free cash in one symbol"
    )
    max_open_positions: int = Field(5, ge=0, le=1_000, description="open positions and pending entries")
    max_leverage_bps: Bps = Field(20_000, description="gross exposure over equity, 10,000 is once")
    margin_leverage_bps: Annotated[int, Field(ge=10_000, le=1_000_000)] = Field(
        20_000, description="leverage at which the isolated margin of a perpetual is set aside, 10,000 is once"
    )
    max_daily_loss_bps: Share = Field(300, description="loss since 00:00Z that blocks entries until the next day")
    max_drawdown_bps: Share = Field(2_000, description="drawdown from the peak that blocks entries")
    allow_short: bool = Field(True, description="whether perpetuals may be sold short")
    max_orders_per_window: int = Field(20, ge=0, le=64, description="entries per window; 0 is no limit")
    order_window_seconds: Seconds = Field(3_600, description="length of that window, in tick time")
    order_gap_seconds: Seconds = Field(0, description="least tick time between two entries of the sub-account")
    cooldown_seconds: Seconds = Field(0, description="least tick time between an exit and the next entry, per symbol")
    price_buffer_bps: Share = Field(50, description="reserve on top of an entry's cost, for the move until it fills")


PER_SYMBOL_LIMITS = (
    "max_order_notional",
    "min_order_notional",
    "max_position_qty",
    "max_position_notional",
    "max_position_pct_equity_bps",
    "max_symbol_concentration_bps",
    "margin_leverage_bps",
)
"""Limits of one order or position; the others hold for the whole sub-account and have no value per symbol."""


class Costs(_Settings):
    """Costs of paper trading."""

    taker_fee_bps: Cost | None = Field(None, description="fee of market orders; empty for the instrument's own")
    slippage_bps: Cost = Field(Decimal(2), description="how far market and stop fills move against the account")
    funding: bool = Field(True, description="charge funding to perpetuals")


class Universe(_Settings):
    """Which symbols may be entered, decided once a day as of 00:00Z."""

    max_symbols: int = Field(5, ge=1, le=200, description="how many are selected")
    min_symbols: int = Field(1, ge=0, description="floor: below it the previous universe stays, with the reason")
    min_age_days: int = Field(3, ge=0, description="least days of candles")
    lookback_days: int = Field(7, ge=1, le=60, description="days of candles and outcomes that are read")
    min_quote_volume_24h: Amount = Field(Decimal(0), description="least traded in 24 hours, quote currency")
    max_spread_bps: Annotated[float, Field(ge=0)] = Field(200.0, description="largest spread proxy")
    max_volatility: Annotated[float, Field(gt=0)] = Field(5.0, description="largest annualised realised volatility")
    min_coverage_bps: Share = Field(9_000, description="least share of bars present in the look-back")
    weights: dict[str, Weight] = Field(
        default={"liquidity": 0.3, "volatility": 0.2, "spread": 0.2, "trend_quality": 0.2, "outcomes": 0.1},
        description="weights of the score's parts",
    )


class Quality(_Settings):
    """Thresholds of the data-quality checks and of the masks that the cycle derives from them."""

    stale_flat_bars: int = Field(10, ge=2, description="equal flat bars in a row that make a symbol stale")
    max_zero_volume_share_bps: Share = Field(2_000, description="share of zero-volume bars in a day that warns")
    outlier_sigma: Annotated[float, Field(gt=0)] = Field(12.0, description="moves beyond this many robust deviations")
    outlier_floor_bps: Bps = Field(300, description="moves below this are never outliers")
    gap_mask_bars: int = Field(1, ge=0, description="missing bars in the recent window that mask a symbol")
    recent_bars: int = Field(8, ge=1, description="bars before a tick in which gaps and stale runs mask entries")
    max_staleness_seconds: int = Field(900, ge=0, description="age of the newest candle that warns when live")


class Strategy(_Settings):
    """One strategy with its own sub-account."""

    family: str = Field(description="strategy family of the kernel")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the family")
    interval: str = Field(description="bar length, as 15m")
    capital: Capital = Field(Decimal(10_000), description="starting cash, quote currency")
    start_day: Day = Field(description="inception at 00:00Z of this day")
    symbols: list[str] | None = Field(None, min_length=1, description="columns of the deployment; empty for all")
    allow: list[str] = Field(default_factory=list, description="if given, only these may be entered")
    deny: list[str] = Field(default_factory=list, description="never entered")
    mode: Mode = Field(Mode.AUTO, strict=False, description="manual, assist or auto")
    shadow: bool = Field(False, description="plan and preview, execute nothing")
    paused: bool = Field(False, description="no entries; exits go on")
    canary_bps: Annotated[int, Field(ge=0, le=10_000)] = Field(10_000, description="size multiplier, 10,000 is full")
    jitter_seconds: int = Field(0, ge=0, le=600, description="spread of the start of live ticks")
    bar_deadline_seconds: Seconds = Field(60, description="how long a live tick waits for its bars and funding")
    max_catch_up_ticks: int = Field(96, ge=1, description="older ticks settle without entries")
    approval_ticks: int = Field(2, ge=1, description="ticks after which a proposal that awaits approval expires")
    enabled: bool = Field(True, description="whether the strategy ticks at all")
    risk: dict[str, Any] = Field(default_factory=dict, description="overrides of `risk`")
    costs: dict[str, Any] = Field(default_factory=dict, description="overrides of `costs`")
    universe: dict[str, Any] = Field(default_factory=dict, description="overrides of `universe`")


class SymbolOverride(_Settings):
    """Overrides for one symbol."""

    enabled: bool = Field(True, description="whether it may be entered at all")
    risk: dict[str, Any] = Field(default_factory=dict, description="overrides of `risk`")


class Lifecycle(_Settings):
    """When a strategy that the factory deployed gets more size, and when it is taken out again."""

    ramps_bps: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        [2_500, 5_000, 10_000],
        min_length=2,
        description="sizes: the first on paper, the second when promoted, each later one when the gates hold again",
    )
    paper_days: int = Field(1, ge=1, description="recorded days at a size that are enough evidence")
    paper_trades: int = Field(20, ge=1, description="closed trades at a size that are enough evidence instead")
    least_profit_factor: Factor = Field(Decimal("1.2"), description="profit factor that a gate requires")
    largest_drawdown_bps: Share = Field(
        1_000, description="drawdown of the marked equity that a gate requires to be less"
    )
    stressed_slippage_bps: Cost = Field(
        Decimal(20), description="slippage at which the recorded ticks, replayed, must still have earned"
    )
    rotation_trades: int = Field(30, ge=1, description="last trades over which the profit factor is watched")
    rotation_profit_factor: Factor = Field(Decimal(1), description="profit factor below which a strategy is paused")
    rotation_drawdown_bps: Share = Field(1_500, description="drawdown since inception beyond which it is paused")
    rotation_age_days: int = Field(14, ge=1, description="days since inception after which it is paused")
    gpu_trust_cycles: int = Field(
        3, ge=1, description="cycles in a row in which a GPU agreed with the CPU, before it may sweep in its place"
    )


class SearchMethod(StrEnum):
    """How a sweep chooses its parameter rows."""

    GRID = "grid"
    SOBOL = "sobol"
    OPTUNA = "optuna"


class SweepDevice(StrEnum):
    """What runs a sweep."""

    CPU = "cpu"
    GPU = "gpu"


class Recipe(_Settings):
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
    spaces: dict[str, dict[str, Any]] = Field(
        min_length=1, description="family -> parameter -> list of values, or low, high and optionally step or log"
    )
    per_channel: int = Field(2, ge=1, le=100, description="candidates per channel of the shortlist")
    least_trades: int = Field(30, ge=1, description="closed trades on the train days that a candidate needs")
    efficient_floor: Weight = Field(0.02, description="daily Sharpe ratio by which a candidate must beat the incumbent")
    growth_floor_bps: Share = Field(100, description="return on capital by which a candidate must beat the incumbent")
    conservative_floor_bps: Share = Field(100, description="drawdown by which a candidate must beat the incumbent")
    parity_rows: int = Field(20, ge=0, le=100_000, description="random rows whose sweep is compared with a replay")


class Gates(_Settings):
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


class Market(_Settings):
    """Where candles come from and which."""

    source: SourceKind = Field(SourceKind.SIMULATED, strict=False, description="simulated, archive or ccxt")
    symbols: list[str] = Field(min_length=1, description="instruments, as ccxt writes them")
    intervals: list[str] = Field(["1m"], min_length=1, description="stored intervals; strategies' own are added")
    archive_dir: str | None = Field(None, description="folder of files for the archive source")
    archive_market_type: Annotated[MarketType, Field(strict=False)] | None = Field(
        None, description="market type where the folder does not tell"
    )
    exchange: str | None = Field(None, description="ccxt id of the exchange")
    exchange_options: dict[str, Any] = Field(default_factory=dict, description="passed to the ccxt client")
    seed: int = Field(20_250_101, description="seed of the simulated market")
    first_day: Day = Field(date(2025, 1, 1), description="first partition")
    timeout_seconds: int = Field(10, ge=1, description="time-out of one request")
    max_retries: int = Field(5, ge=0, description="retries of one request")


class Autopilot(_Settings):
    """The whole configuration."""

    account: str = Field("paper", pattern=r"^[a-z0-9_-]+$", description="account that all strategies trade for")
    kill_switch: KillSwitch = Field(KillSwitch.OFF, strict=False, description="off, close_only or halt_all")
    kill_switch_file: str = Field("KILL_SWITCH", description="file in the data folder whose content is a kill switch")
    overlay_file: str | None = Field(
        None, description="live overlay in the data folder, read after this file; empty to disable"
    )
    market: Market
    risk: Risk = Risk()
    costs: Costs = Costs()
    universe: Universe = Universe()
    quality: Quality = Quality()
    gates: Gates = Gates()
    factory: dict[str, Recipe] = Field(default_factory=dict, description="recipes of factory cycles by name")
    lifecycle: Lifecycle = Lifecycle()
    symbols: dict[str, SymbolOverride] = Field(default_factory=dict, description="overrides per symbol")
    strategies: dict[str, Strategy] = Field(min_length=1, description="strategies by name")
    outcome_horizons_seconds: list[Annotated[int, Field(ge=1, le=86_400)]] = Field(
        [300, 900, 3600], min_length=1, description="horizons of outcomes"
    )
    minimum_sample: int = Field(20, ge=1, description="metrics on fewer observations are marked")
    data_dir: str = Field("data/local", description="where the store lives")
    lock_timeout_seconds: float = Field(30.0, gt=0, description="how long to wait for the store's lock")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="log level")
