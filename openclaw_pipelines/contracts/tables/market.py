"""Tables of the `market` database: what the exchanges published.

Candle prices are float64, as every exchange and file gives them; they become integers in the kernel.
"""

import pandera.polars as pa
import polars as pl

from openclaw_pipelines.contracts.bounds import LEAST_PRICE, MOST_FUNDING_RATE, MOST_PRICE, MOST_VOLUME
from openclaw_pipelines.contracts.enums import InstrumentState, MarketType, Regime
from openclaw_pipelines.contracts.schema import Table
from openclaw_pipelines.contracts.tables.rows import Money, Time
from openclaw_pipelines.contracts.time import INTERVALS


class _Bars(pa.DataFrameModel):
    source: str = pa.Field(description="where the row came from, as `archive:binance_usdm`")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    interval: str = pa.Field(isin=list(INTERVALS), description="length of the bar")
    ts: Time = pa.Field(description="open of the bar, UTC; it is closed at ts + interval")
    open: float = pa.Field(ge=LEAST_PRICE, le=MOST_PRICE, description="first price, in quote currency")
    high: float = pa.Field(ge=LEAST_PRICE, le=MOST_PRICE, description="highest price, in quote currency")
    low: float = pa.Field(ge=LEAST_PRICE, le=MOST_PRICE, description="lowest price, in quote currency")
    close: float = pa.Field(ge=LEAST_PRICE, le=MOST_PRICE, description="last price, in quote currency")
    volume: float = pa.Field(ge=0, le=MOST_VOLUME, description="traded amount, in base currency")

    class Config:
        strict = True

    @pa.dataframe_check(name="high_is_highest")
    def _high_is_highest(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("high") >= pl.max_horizontal("open", "low", "close"))

    @pa.dataframe_check(name="low_is_lowest")
    def _low_is_lowest(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("low") <= pl.min_horizontal("open", "high", "close"))


class Candles(_Bars):
    """Closed candles. The first value that a source published for a bar stays.

    A bar that was built of lower ones follows them until a recorded tick has read it.
    """

    is_synthetic: bool = pa.Field(description="made by a venue or a tool to fill a hole; never traded")
    ingested_at: Time = pa.Field(description="when the row was first written")
    parts: int = pa.Field(nullable=True, ge=0, description="lower bars it was built of; empty where it was published")
    parts_expected: int = pa.Field(nullable=True, ge=1, description="lower bars that it would have without a hole")
    has_open: bool = pa.Field(description="its first part is there, so that its open is a price at its open")

    class Config:
        strict = True


class CandleRevisions(_Bars):
    """A later, different value of a stored candle. Kept apart; never changes the past."""

    seen_at: Time = pa.Field(description="when the later value was seen")

    class Config:
        strict = True


class CandleCorrections(_Bars):
    """Bars that an operator replaced, or stored though their scale was refused. The trace of `candles correct`."""

    corrected_at: Time = pa.Field(description="when it was done")
    actor: str = pa.Field(description="who did it, the user of the operating system")
    reason: str = pa.Field(description="why, in the operator's words")
    taken_from: str = pa.Field(
        isin=["source", "revision"], description="the source asked anew, or one of its revisions"
    )
    old_open: float = pa.Field(nullable=True, description="first price before; empty where no bar was stored")
    old_high: float = pa.Field(nullable=True, description="highest price before")
    old_low: float = pa.Field(nullable=True, description="lowest price before")
    old_close: float = pa.Field(nullable=True, description="last price before")
    old_volume: float = pa.Field(nullable=True, description="traded amount before")

    class Config:
        strict = True


class RefusedAnswers(pa.DataFrameModel):
    """What a source answered and cannot be, per series and day. It was not stored, or counts as missing."""

    source: str = pa.Field(description="source that answered")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    series: str = pa.Field(isin=[*INTERVALS, "funding"], description="length of the bars, or `funding`")
    day: str = pa.Field(description="day that was asked for, YYYY-MM-DD")
    first_seen_at: Time = pa.Field(description="when it first answered so")
    last_seen_at: Time = pa.Field(description="when it last did")
    reason: str = pa.Field(description="the newest refusal in words")
    refusals: int = pa.Field(
        ge=0, nullable=True, description="so often in a row; 0: answered since. Empty in rows of the first version"
    )

    class Config:
        strict = True


class CandleCoverage(pa.DataFrameModel):
    """How far into a day a source was asked. A bar is missing only if it was asked for after it closed."""

    source: str = pa.Field(description="source that was asked")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    interval: str = pa.Field(isin=list(INTERVALS), description="length of the bars")
    day: str = pa.Field(description="day, YYYY-MM-DD")
    covered_until: Time = pa.Field(description="every bar of the day that closed by then is stored, refused or absent")

    class Config:
        strict = True


class FundingCoverage(pa.DataFrameModel):
    """How far into a day a source was asked for funding. A rate is absent only if it was asked for after its time."""

    source: str = pa.Field(description="source that was asked")
    symbol: str = pa.Field(description="perpetual as ccxt writes it")
    day: str = pa.Field(description="day, YYYY-MM-DD")
    covered_until: Time = pa.Field(description="every rate of the day up to this time is stored or does not exist")

    class Config:
        strict = True


class SourceClocks(pa.DataFrameModel):
    """The clock of a market source as it was told last, and how far the local one is from it."""

    source: str = pa.Field(description="source that told its time")
    served_at: Time = pa.Field(description="time of the source")
    read_at: Time = pa.Field(description="local time when its answer was there")
    ahead_seconds: int = pa.Field(description="seconds the local clock is ahead at least, negative where it is behind")

    class Config:
        strict = True


class FundingRates(pa.DataFrameModel):
    """Funding of perpetuals. A positive rate is paid by longs to shorts."""

    source: str = pa.Field(description="where the row came from")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    ts: Time = pa.Field(description="funding time, floored to the venue's grid")
    stamped_at: Time = pa.Field(description="time as the venue stamped it; often late by milliseconds")
    funding_rate: float = pa.Field(
        ge=-MOST_FUNDING_RATE, le=MOST_FUNDING_RATE, description="rate of the interval, 0.0001 is one basis point"
    )
    ingested_at: Time = pa.Field(description="when the row was first written")
    interval_hours: int = pa.Field(
        nullable=True, ge=1, le=24, description="hours between two rates, where the source says so with the rate"
    )

    class Config:
        strict = True


class Instruments(pa.DataFrameModel):
    """What can be traded and in which units."""

    source: str = pa.Field(description="where the row came from")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    symbol_normalized: str = pa.Field(description="name used in keys")
    base: str = pa.Field(description="base currency")
    quote: str = pa.Field(description="quote currency; USD, USDT and USDC are never pooled")
    market_type: str = pa.Field(isin=[kind.value for kind in MarketType], description="spot or linear perpetual")
    price_unit: Money = pa.Field(gt=0, description="finest price step that ever applies, in quote currency")
    significant_digits: int = pa.Field(
        nullable=True, ge=1, description="tick follows this many digits of the price; empty for a fixed tick"
    )
    tick: Money = pa.Field(gt=0, description="price step of orders where it is fixed, a multiple of price_unit")
    lot: Money = pa.Field(gt=0, description="quantity step, in base currency")
    min_qty: Money = pa.Field(ge=0, description="smallest order, in base currency")
    min_notional: Money = pa.Field(ge=0, description="smallest order, in quote currency")
    taker_fee_rate: Money = pa.Field(ge=0, lt=1, description="fee of a market order as a share of its notional")
    max_leverage: int = pa.Field(ge=1, description="highest leverage, 1 for spot")
    maintenance_margin_rate: Money = pa.Field(ge=0, lt=1, description="margin below which a position is liquidated")
    liquidation_fee_rate: Money = pa.Field(ge=0, lt=1, description="fee of a liquidation as a share of its notional")
    funding_interval_hours: int = pa.Field(nullable=True, description="empty for spot")
    state: str = pa.Field(isin=[state.value for state in InstrumentState], description="lifecycle")
    listed_at: Time = pa.Field(nullable=True, description="first trade, where known")
    updated_at: Time = pa.Field(description="when the row was written")
    delisted_at: Time = pa.Field(nullable=True, description="end of trading, where known; no bar opens from then on")

    class Config:
        strict = True


class Features(pa.DataFrameModel):
    """Indicators and regime per symbol and bar, with a fixed look-back. Empty until warm."""

    source: str = pa.Field(description="where the candles came from")
    symbol: str = pa.Field(description="instrument as ccxt writes it")
    interval: str = pa.Field(isin=list(INTERVALS), description="length of the bar")
    ts: Time = pa.Field(description="open of the bar; the values are known at ts + interval")
    close: float = pa.Field(gt=0, description="close of the bar")
    return_1: float = pa.Field(nullable=True, description="close over previous close, less 1")
    return_24h: float = pa.Field(nullable=True, description="close over the close 24 hours before, less 1")
    ema_fast: float = pa.Field(nullable=True, description="EMA over 12 bars")
    ema_slow: float = pa.Field(nullable=True, description="EMA over 48 bars")
    rsi: float = pa.Field(nullable=True, ge=0, le=100, description="RSI over 14 bars")
    atr_pct: float = pa.Field(nullable=True, ge=0, description="ATR over 14 bars as a share of the close")
    adx: float = pa.Field(nullable=True, ge=0, le=100, description="ADX over 14 bars")
    bollinger_position: float = pa.Field(
        nullable=True, description="where the close lies in the 20-bar band: 0 lower, 1 upper"
    )
    donchian_position: float = pa.Field(
        nullable=True, description="where the close lies in the channel of the 20 bars before: 0 low, 1 high"
    )
    realised_volatility: float = pa.Field(
        nullable=True, ge=0, description="standard deviation of returns over 48 bars, annualised over 365 days"
    )
    volume_average: float = pa.Field(nullable=True, ge=0, description="average volume over 48 bars, base")
    quote_volume_24h: float = pa.Field(nullable=True, ge=0, description="traded in 24 hours, quote")
    spread_proxy_bps: float = pa.Field(
        nullable=True, ge=0, description="Corwin-Schultz estimate of the spread from highs and lows, average of 48 bars"
    )
    regime: str = pa.Field(isin=[regime.value for regime in Regime], description="market regime")
    capped: bool = pa.Field(description="a value lay outside its stated range and was capped to it")
    ingested_at: Time = pa.Field(description="when the row was written")

    class Config:
        strict = True


TABLES = (
    Table(
        "candles",
        "market",
        Candles,
        key=("source", "symbol", "interval", "ts"),
        unhashed=("ingested_at",),
    ),
    Table(
        "candle_revisions",
        "market",
        CandleRevisions,
        key=("source", "symbol", "interval", "ts", "seen_at"),
        unhashed=("seen_at",),
    ),
    Table(
        "candle_corrections",
        "market",
        CandleCorrections,
        key=("source", "symbol", "interval", "ts", "corrected_at"),
        unhashed=("corrected_at",),
    ),
    Table(
        "refused_answers",
        "market",
        RefusedAnswers,
        key=("source", "symbol", "series", "day"),
        unhashed=("first_seen_at", "last_seen_at", "refusals"),
    ),
    Table("candle_coverage", "market", CandleCoverage, key=("source", "symbol", "interval", "day"), unhashed=()),
    Table("funding_coverage", "market", FundingCoverage, key=("source", "symbol", "day"), unhashed=()),
    Table("source_clocks", "market", SourceClocks, key=("source",), unhashed=("served_at", "read_at", "ahead_seconds")),
    Table(
        "funding_rates",
        "market",
        FundingRates,
        key=("source", "symbol", "ts"),
        unhashed=("ingested_at",),
    ),
    Table("instruments", "market", Instruments, key=("source", "symbol"), unhashed=("updated_at",)),
    Table(
        "features",
        "market",
        Features,
        key=("source", "symbol", "interval", "ts"),
        unhashed=("ingested_at",),
    ),
)
