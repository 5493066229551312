"""The embedded market: deterministic from a seed, with no network and no files.

Bars are cut from the price path of `path`; how each pair behaves is in `profiles`. Prices and
volumes are whole numbers of the instrument's units, so equal seeds give equal bytes on every machine.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import base_and_quote, market_type
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length, utc
from openclaw_pipelines.resources.market.base import FUNDING_COLUMNS, published
from openclaw_pipelines.resources.market.instruments_file import (
    Instrument,
    load_instruments,
    require,
    venue_instruments,
)
from openclaw_pipelines.resources.market.resample import parts_window, resample
from openclaw_pipelines.resources.market.simulated.path import (
    Floats,
    Ints,
    Stream,
    exponential,
    jumps,
    log_path,
    noise,
    octave,
    volatility,
)
from openclaw_pipelines.resources.market.simulated.profiles import PROFILES, Profile
from openclaw_pipelines.resources.market.simulated.silence import absent_minutes, quiet_minutes

VENUE = "simulated"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_FUNDING = timedelta(hours=8)
_KEPT_DAYS = 512
"""Days of one symbol kept in memory, about 35 MB. What is kept never changes an answer: a day has one content."""
_TIME = pl.Datetime("us", "UTC")
_DAY_TYPES = pl.Schema({"ts": _TIME, **dict.fromkeys(["open", "high", "low", "close", "volume"], pl.Float64())})
_FUNDING_TYPES = pl.Schema(
    zip(FUNDING_COLUMNS, [pl.String, pl.String, _TIME, _TIME, pl.Float64, pl.Int64], strict=True)
)


class SimulatedMarket:
    """Simulated spot and perpetual markets for the symbols of venue `simulated` in the instruments file.

    seed: equal seeds give equal markets. symbols: what may be asked for; all known ones if empty.

    Any minute since 1970 exists, apart from holes: a pair's own (up to 40 minutes on some days) and outages of the
    whole venue. Some minutes have no trade: a flat bar of volume 0. Perpetuals are funded every eight hours.

    >>> market = SimulatedMarket(seed=7)
    >>> day = datetime(2025, 5, 10, tzinfo=UTC)
    >>> market.candles("BTC/USDT:USDT", "1h", day, day + timedelta(days=1), as_of=day + timedelta(hours=3)).height
    3
    """

    def __init__(self, seed: int, symbols: Sequence[str] = ()) -> None:
        self.name = VENUE
        self.seed = seed
        for symbol in symbols:
            require(venue_instruments(VENUE), symbol, VENUE)
        self.symbols = tuple(symbols)

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Bars with `start <= ts < end` that are closed at `as_of`. See `MarketSource.candles`."""
        instrument = self._instrument(symbol)
        as_of = utc(as_of, "as_of")
        first, last = parts_window(interval, utc(start, "start"), utc(end, "end"))
        minutes = self._minutes(instrument, first, min(last, floor_to(as_of, _MINUTE)))
        return minutes if interval_length(interval) == _MINUTE else resample(minutes, interval, as_of)

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Funding with `start <= ts < end` due by `as_of`, at 00:00, 08:00 and 16:00; empty for spot."""
        self._instrument(symbol)
        if market_type(symbol) is MarketType.SPOT:
            return pl.DataFrame(schema=_FUNDING_TYPES)
        first = -((_EPOCH - utc(start, "start")) // _FUNDING)
        last = -((_EPOCH - min(utc(end, "end"), utc(as_of, "as_of") + timedelta(microseconds=1))) // _FUNDING)
        times = np.arange(first, max(first, last), dtype=np.int64)
        stream = Stream(self.seed, f"funding/{symbol}")
        lean = np.array([noise(stream, 4_096, np.array([at * 480]))[0] for at in times], dtype=np.float64)
        rate = np.clip(0.00006 + 0.00009 * lean + 0.00002 * stream.normal(times), -0.00075, 0.00075)
        late_ms = (stream.words(times) % np.uint64(13)).astype(np.int64)
        ts = pl.Series("ts", times * 28_800_000).cast(pl.Datetime("ms")).dt.cast_time_unit("us")
        return pl.DataFrame(
            {
                "source": [self.name] * len(times),
                "symbol": [symbol] * len(times),
                "ts": ts.dt.replace_time_zone("UTC"),
                "stamped_at": (ts + pl.Series(late_ms * 1_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC"),
                "funding_rate": np.rint(rate * 1e8) / 1e8,
                "interval_hours": [_FUNDING // timedelta(hours=1)] * len(times),
            },
            schema=_FUNDING_TYPES,
        ).select(FUNDING_COLUMNS)

    def served_at(self) -> datetime | None:
        """None: what is drawn has no clock of its own."""

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """Rows of `contracts.tables.market.Instruments` from the shipped file."""
        return load_instruments(VENUE, symbols, as_of, source=self.name)

    def _instrument(self, symbol: str) -> Instrument:
        known = venue_instruments(VENUE)
        if self.symbols:
            known = {name: rules for name, rules in known.items() if name in self.symbols}
        return require(known, symbol, VENUE)

    def _minutes(self, instrument: Instrument, first: datetime, last: datetime) -> pl.DataFrame:
        """Minutes with `first <= ts < last`."""
        days = range((first - _EPOCH) // DAY, max(0, -((_EPOCH - last) // DAY)))
        parts = [_day(self.seed, instrument, day) for day in days] if first < last else []
        bars = pl.concat(parts) if parts else pl.DataFrame(schema=_DAY_TYPES)
        inside = bars.filter((pl.col("ts") >= first) & (pl.col("ts") < last)).select(
            pl.lit(self.name).alias("source"),
            pl.lit(instrument.symbol).alias("symbol"),
            pl.lit("1m").alias("interval"),
            pl.col("ts", "open", "high", "low", "close", "volume"),
            # a quiet minute is published by the venue as it is; nothing here is filled in by a tool
            pl.lit(value=False).alias("is_synthetic"),
        )
        return published(inside)


@lru_cache(maxsize=_KEPT_DAYS)
def _day(seed: int, instrument: Instrument, day: int) -> pl.DataFrame:
    """Minutes of one UTC day since the epoch, kept because ticks ask for it again and again."""
    profile = PROFILES[base_and_quote(instrument.symbol)[0]]
    minute = np.arange(day * 1_440, (day + 1) * 1_440, dtype=np.int64)
    keep = ~absent_minutes(seed, instrument.symbol, profile, minute)
    ts = pl.Series("ts", minute[keep] * 60_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    bars = _bars(seed, instrument, profile, minute)
    return pl.DataFrame({"ts": ts, **{name: values[keep] for name, values in bars.items()}})


def _bars(seed: int, instrument: Instrument, profile: Profile, minute: Ints) -> dict[str, Floats]:
    """Open, high, low, close and volume of minutes that start with a full hour."""
    stream = Stream(seed, f"bars/{instrument.symbol}")
    move = profile.daily_volatility / float(np.sqrt(1_440.0))
    edges = _log_prices(seed, instrument.symbol, profile, np.append(minute, minute[-1] + 1))
    restless = volatility(Stream(seed, f"asset/{base_and_quote(instrument.symbol)[0]}"), minute) * move
    slip = np.where(stream.uniform(minute * 8) < 0.03, 0.4 * stream.normal(minute * 8 + 1), 0.0) * restless
    opens, closes = edges[:-1] + slip, edges[1:]
    above = stream.uniform(minute * 8 + 2) * stream.uniform(minute * 8 + 3) * restless
    below = stream.uniform(minute * 8 + 4) * stream.uniform(minute * 8 + 5) * restless
    quiet, since = quiet_minutes(seed, instrument.symbol, profile, minute)
    unit = instrument.price_unit
    logs = {
        "open": opens,
        "high": np.maximum(opens, closes) + above,
        "low": np.minimum(opens, closes) - below,
        "close": closes,
    }
    prices = {name: _on_grid(profile.price * exponential(log), unit) for name, log in logs.items()}
    resting = _on_grid(profile.price * exponential(edges[since]), unit)
    bars = {name: np.where(quiet, resting, price) for name, price in prices.items()}
    traded = _traded(stream, profile, minute, np.abs(closes - opens) / restless) / bars["close"]
    bars["volume"] = np.where(quiet, 0.0, np.maximum(_on_grid(traded, instrument.lot), float(instrument.lot)))
    return bars


def _log_prices(seed: int, symbol: str, profile: Profile, minute: Ints) -> Floats:
    """Log of price over its long-run middle at the start of each minute."""
    base = base_and_quote(symbol)[0]
    move = profile.daily_volatility / float(np.sqrt(1_440.0))
    shared, own = Stream(seed, "market"), Stream(seed, f"asset/{base}")
    apart = float(np.sqrt(1.0 - profile.beta * profile.beta))
    path = profile.beta * log_path(shared, minute, profile.trend, profile.ripple)
    path = (path + apart * log_path(own, minute, profile.trend, profile.ripple)) * move
    path = path + jumps(Stream(seed, "market/jump"), minute, 0.03, 0.9 * profile.beta * profile.daily_volatility)
    path = path + jumps(Stream(seed, f"asset/{base}/jump"), minute, 0.06, 0.8 * profile.daily_volatility)
    if market_type(symbol) is MarketType.LINEAR:
        basis = Stream(seed, f"basis/{base}")
        path = path + 0.0004 * noise(basis, 512, minute) + 0.00005 * octave(basis, 1, minute)
    return np.clip(path, -4.0, 4.0)


def _traded(stream: Stream, profile: Profile, minute: Ints, moved: Floats) -> Floats:
    """Notional traded per minute, in quote currency: it swells for hours and with the size of the move."""
    tide = 0.5 * noise(Stream(stream.seed, f"{stream.name}/tide"), 512, minute)
    swing = 0.6 * stream.normal(minute * 8 + 6)
    return (
        profile.minute_notional * exponential(np.clip(tide + swing, -4.0, 4.0)) * (0.4 + 0.6 * np.minimum(moved, 6.0))
    )


def _on_grid(values: Floats, unit: Decimal) -> Floats:
    """The floats nearest to whole numbers of `unit`: one exact product and one correctly rounded division."""
    numerator, denominator = unit.as_integer_ratio()
    steps = np.rint(values * (float(denominator) / float(numerator)))
    return steps * float(numerator) / float(denominator)
