"""Limits that the governor enforces."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.values import Amount, Bps, Money, Seconds, Section, Share


class Risk(Section):
    """Limits that the governor enforces. All can be overridden per strategy, those of one position also per symbol."""

    max_order_notional: Money = Field(Decimal(5_000), description="largest order, quote currency")
    min_order_notional: Money = Field(
        Decimal(0), description="smallest order, quote currency; the instrument's own minimum applies too"
    )
    max_position_qty: Amount = Field(Decimal(0), description="largest position, base currency; 0 is no limit")
    max_position_notional: Money = Field(Decimal(5_000), description="largest position, quote currency")
    max_position_pct_equity_bps: Bps = Field(5_000, description="largest position as a share of equity")
    max_symbol_concentration_bps: Bps = Field(
        10_000,
        description="largest share of gross exposure plus free cash, both after the order, in one base asset; "
        "its spot and perpetuals count together",
    )
    max_open_positions: int = Field(5, ge=0, le=1_000, description="open positions and pending entries")
    max_leverage_bps: Bps = Field(20_000, description="gross exposure over equity, 10,000 is once")
    margin_leverage_bps: Annotated[int, Field(ge=10_000, le=1_000_000)] = Field(
        20_000, description="leverage at which the isolated margin of a perpetual is set aside, 10,000 is once"
    )
    max_daily_loss_bps: Share = Field(300, description="loss since 00:00Z that blocks entries until the next day")
    max_drawdown_bps: Share = Field(2_000, description="drawdown from the peak that blocks entries")
    allow_short: bool = Field(True, description="whether perpetuals may be sold short")
    max_orders_per_window: int = Field(
        20, ge=0, le=64, description="entries per window, exits do not count; 0 is no limit"
    )
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
