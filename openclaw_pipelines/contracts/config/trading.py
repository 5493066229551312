"""Strategies, what trading costs them, and which symbols they may enter."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.values import (
    Amount,
    Capital,
    Cost,
    Day,
    Seconds,
    Section,
    Share,
    Weight,
)
from openclaw_pipelines.contracts.enums import Mode


class Costs(Section):
    """Costs of paper trading."""

    taker_fee_bps: Cost | None = Field(None, description="fee of market orders; empty for the instrument's own")
    slippage_bps: Cost = Field(Decimal(2), description="how far market and stop fills move against the account")
    funding: bool = Field(True, description="charge funding to perpetuals")


class Universe(Section):
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

    @property
    def look_back(self) -> timedelta:
        """How long before a day its ranking reads candles."""
        return timedelta(days=self.lookback_days + self.min_age_days)


class Strategy(Section):
    """One strategy with its own sub-account."""

    family: str = Field(description="strategy family of the kernel")
    params: dict[str, object] = Field(default_factory=dict, description="parameters of the family")
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
    risk: dict[str, object] = Field(default_factory=dict, description="overrides of `risk`")
    costs: dict[str, object] = Field(default_factory=dict, description="overrides of `costs`")
    universe: dict[str, object] = Field(default_factory=dict, description="overrides of `universe`")


class SymbolOverride(Section):
    """Overrides for one symbol."""

    enabled: bool = Field(True, description="whether it may be entered at all")
    risk: dict[str, object] = Field(default_factory=dict, description="overrides of `risk`")
