"""Where market data comes from, and what is asked of it."""

from datetime import date
from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.values import Bps, Day, Section, Share
from openclaw_pipelines.contracts.enums import MarketType, SourceKind


class Quality(Section):
    """Thresholds of the data-quality checks and of the masks that the cycle derives from them."""

    stale_flat_bars: int = Field(10, ge=2, description="equal flat bars in a row that make a symbol stale")
    max_zero_volume_share_bps: Share = Field(2_000, description="share of zero-volume bars in a day that warns")
    outlier_sigma: Annotated[float, Field(gt=0)] = Field(12.0, description="moves beyond this many robust deviations")
    outlier_floor_bps: Bps = Field(300, description="moves below this are never outliers")
    gap_mask_bars: int = Field(1, ge=0, description="missing bars in the recent window that mask a symbol")
    recent_bars: int = Field(8, ge=1, description="bars before a tick in which gaps and stale runs mask entries")
    min_parts_bps: Share = Field(9_000, description="share of its parts below which a built bar counts as absent")
    max_staleness_seconds: int = Field(900, ge=0, description="age of the newest candle that warns when live")


class Market(Section):
    """Where candles come from and which."""

    source: SourceKind = Field(SourceKind.SIMULATED, strict=False, description="simulated, archive or ccxt")
    symbols: list[str] = Field(min_length=1, description="instruments, as ccxt writes them")
    intervals: list[str] = Field(["1m"], min_length=1, description="stored intervals; strategies' own are added")
    archive_dir: str | None = Field(None, description="folder of files for the archive source")
    archive_market_type: Annotated[MarketType, Field(strict=False)] | None = Field(
        None, description="market type where the folder does not tell"
    )
    archive_prefer: list[str] = Field(
        default_factory=list,
        description="names of files that win where files differ, as `*-????-??-??.*`, best first",
    )
    exchange: str | None = Field(None, description="ccxt id of the exchange")
    exchange_options: dict[str, object] = Field(default_factory=dict, description="passed to the ccxt client")
    seed: int = Field(20_250_101, description="seed of the simulated market")
    first_day: Day = Field(date(2025, 1, 1), description="first partition")
    timeout_seconds: int = Field(10, ge=1, description="time-out of one request")
    max_clock_skew_seconds: int = Field(
        30, ge=1, description="how far the local clock may be from the exchange's before live ticks stop"
    )
    max_retries: int = Field(5, ge=0, description="retries of one request")
