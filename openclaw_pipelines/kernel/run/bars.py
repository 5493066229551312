"""Aligned bars of several symbols: integer prices on one time grid, with what each bar allows.

Built once per run, hashed, never changed. Cleaning and choosing candles belong to `domain`; this refuses what is not
clean, naming where.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.time import NaiveTimeError, interval_length
from openclaw_pipelines.kernel.account.instruments import Instrument, instrument_records
from openclaw_pipelines.kernel.base.layout import SYMBOL_TICK, BarState, Records, Tick, records
from openclaw_pipelines.kernel.base.money import MAX_RATE, nearest_units, to_units

_PRICES = ("open", "high", "low", "close")
_USUAL_DECIMALS, _FINEST_DECIMALS = 8, 12
"""Of a price unit that is read off the prices; the finer ones only of coins below 1, where a float still holds them."""


class BarsError(DataError):
    """Rows that cannot be bars."""

    template = "{symbol} at {ts}: {why}. Correct or drop the row."
    symbol: str
    ts: datetime | str
    why: str


class NoPriceUnitError(DataError):
    """Prices off which no price unit can be read, as averages are."""

    template = (
        "{symbol}: price {value} lies on no price unit down to 1e-{decimals}, so none can be read off the prices. Give "
        "`instruments=` with the price_unit of {symbol}, and prices that are multiples of it."
    )
    symbol: str
    value: float
    decimals: int


class MissingColumnsError(DataError):
    """A frame without a column that bars need."""

    template = "the frame lacks {missing}. Bars need ts, symbol, open, high, low, close and volume."
    missing: str


class UnknownInstrumentError(DataError):
    """Bars or funding of a symbol that no given instrument describes."""

    template = "no instrument is given for {symbol!r}. Known: {known}."
    symbol: str
    known: str


class UniverseError(DataError):
    """A universe or controls that do not fit the bars."""

    template = (
        "{given} flags or codes are given for {symbol!r}; the bars are {bars} of each of {symbols}, holes included."
    )
    symbol: str
    given: int
    symbols: str
    bars: int


class Matrices(NamedTuple):
    """The arrays of `Bars` for the compiled code, each [T, S]."""

    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    volume: NDArray[np.float64]
    bar_state: NDArray[np.int8]
    funding_rate: NDArray[np.int64]
    funding_inside: NDArray[np.int64]
    in_universe: NDArray[np.int8]
    control: NDArray[np.int8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bars:
    """Bars of S symbols on a gapless grid of T bars.

    times: [T] opens, seconds since the epoch, UTC. matrices: see `Matrices`; prices in each instrument's price unit,
    0 where the bar is missing; funding in 1e-10, at the open and of all stamps inside the bar; control a RejectCode
    that refuses entries at the bar's close.
    """

    symbols: tuple[str, ...]
    interval: str
    instruments: tuple[Instrument, ...]
    times: NDArray[np.int64]
    matrices: Matrices

    @classmethod
    def from_frame(
        cls,
        frame: pl.DataFrame,
        *,
        interval: str,
        instruments: Sequence[Instrument] | None = None,
        funding: pl.DataFrame | None = None,
        universe: Mapping[str, NDArray[np.bool_]] | None = None,
        controls: Mapping[str, NDArray[np.int8]] | None = None,
    ) -> "Bars":
        """Align a frame of candles.

        Args:
            frame: ts (open, with a zone), symbol, open, high, low, close, volume; optionally is_synthetic, and
                has_open, false where the bar's beginning is missing. Sorted by ts within each symbol. Holes become
                missing bars, as synthetic ones do.
            interval: as `1h`.
            instruments: one per symbol; their order is the order of the columns. Without them the price unit is read
                off the decimals and the lot is 1e-8, with `Instrument`'s default fee.
            funding: ts, symbol, funding_rate. A stamp at a bar's open is charged on what is held before its fills,
                one inside the bar on what is held after them.
            universe: per symbol [T] booleans; a symbol left out is always in.
            controls: per symbol [T] codes of `RejectCode` that refuse entries, 0 for none; a symbol left out has none.

        Raises:
            MissingColumnsError, NaiveTimeError, UnknownInstrumentError, PriceUnitError, NoPriceUnitError: as their
                names say.
            BarsError: duplicate, unsorted or off-grid stamp, high or low that is none, negative or NaN volume, funding
                twice or without a number.
            UniverseError: a mask or controls of no symbol of the bars, or of another length.
        """
        missing = [name for name in ("ts", "symbol", *_PRICES, "volume") if name not in frame.columns]
        if missing or frame.is_empty():
            raise MissingColumnsError(", ".join(missing) or "rows")
        seconds = int(interval_length(interval).total_seconds())
        stamps = _epoch_seconds(frame, "candles")
        groups = _rows_by_symbol(frame)
        _check_rows(frame, stamps, groups, seconds)
        specs = _instruments_for(frame, groups, instruments)
        times = np.arange(int(stamps.min()), int(stamps.max()) + seconds, seconds, dtype=np.int64)
        matrices = _align(frame, stamps, groups, specs, times, seconds)
        symbols = tuple(spec.symbol for spec in specs)
        if funding is not None:
            _place_funding(matrices, funding, symbols, times, seconds)
        for target, given in ((matrices.in_universe, universe), (matrices.control, controls)):
            for symbol, flags in (given or {}).items():
                if symbol not in symbols or len(flags) != len(times):
                    raise UniverseError(symbol, len(flags), ", ".join(symbols), len(times))
                target[:, symbols.index(symbol)] = flags
        for array in (times, *matrices):
            array.flags.writeable = False
        return cls(symbols=symbols, interval=interval, instruments=specs, times=times, matrices=matrices)

    @property
    def interval_seconds(self) -> int:
        """Length of a bar."""
        return int(interval_length(self.interval).total_seconds())

    @cached_property
    def instrument_records(self) -> Records:
        """INSTRUMENT[S]."""
        return instrument_records(self.instruments)

    @cached_property
    def bars_hash(self) -> str:
        """SHA-256 over symbols, interval, units, times and every matrix."""
        digest = hashlib.sha256(repr((self.symbols, self.interval)).encode())
        digest.update(repr([(str(i.price_unit), str(i.kernel_lot)) for i in self.instruments]).encode())
        for array in (self.times, *self.matrices):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def tick(self, row: int) -> Tick:
        """The tick that closes bar `row`, as the paper executor would pass it."""
        symbols = records(SYMBOL_TICK, len(self.symbols))
        for name in Matrices._fields:
            symbols[name] = getattr(self.matrices, name)[row]
        return Tick(int(self.times[row]) + self.interval_seconds, symbols)

    @cached_property
    def price_range(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lowest and highest price [S] of the bars that are not missing."""
        present = self.matrices.bar_state != BarState.MISSING
        low = np.where(present, self.matrices.low, np.iinfo(np.int64).max).min(axis=0)
        return low, np.where(present, self.matrices.high, 0).max(axis=0)


def _epoch_seconds(frame: pl.DataFrame, where: str) -> NDArray[np.int64]:
    dtype = frame.schema["ts"]
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise NaiveTimeError(where, str(frame["ts"][0]) if frame.height else "no rows")
    return frame["ts"].dt.epoch("us").to_numpy() // 1_000_000


def _rows_by_symbol(frame: pl.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Row numbers of each symbol, in the frame's order."""
    groups = frame.select(pl.col("symbol")).with_row_index("row").group_by("symbol", maintain_order=True).agg("row")
    return {symbol: np.asarray(rows, np.int64) for symbol, rows in zip(groups["symbol"], groups["row"], strict=True)}


def _check_rows(
    frame: pl.DataFrame, stamps: NDArray[np.int64], groups: Mapping[str, NDArray[np.int64]], seconds: int
) -> None:
    """Raise `BarsError` at the first row that breaks a rule."""
    open_, high, low, close = (frame[name].to_numpy() for name in _PRICES)
    volume = frame["volume"].to_numpy()
    exact = frame["ts"].dt.epoch("us").to_numpy() == stamps * 1_000_000
    rules: list[tuple[str, NDArray[np.bool_]]] = [
        (f"the stamp is off the {seconds} s grid", exact & (stamps % seconds == 0)),
        ("high is below another price, or no number", (high >= open_) & (high >= close) & (high >= low)),
        ("high is endless", np.isfinite(high)),
        ("low is above another price, or no number", (low <= open_) & (low <= close)),
        ("a price is not above 0", low > 0),
        ("volume is negative or no finite number", (volume >= 0) & (volume < np.inf)),
    ]
    for why, holds in rules:
        if not holds.all():
            raise _at(frame, int(np.flatnonzero(~holds)[0]), why)
    for rows in groups.values():
        steps = np.diff(stamps[rows])
        if (steps <= 0).any():
            place = int(np.flatnonzero(steps <= 0)[0])
            why = "the bar stands twice" if steps[place] == 0 else "rows are not sorted by time"
            raise _at(frame, int(rows[place + 1]), why)


def _at(frame: pl.DataFrame, row: int, why: str) -> BarsError:
    return BarsError(frame["symbol"][row], frame["ts"][row], why)


def _instruments_for(
    frame: pl.DataFrame, groups: Mapping[str, NDArray[np.int64]], given: Sequence[Instrument] | None
) -> tuple[Instrument, ...]:
    if given is None:
        return tuple(_inferred(frame, symbol, rows) for symbol, rows in sorted(groups.items()))
    known = {spec.symbol for spec in given}
    for symbol in groups:
        if symbol not in known:
            raise UnknownInstrumentError(symbol, ", ".join(sorted(known)))
    return tuple(given)


def _inferred(frame: pl.DataFrame, symbol: str, rows: NDArray[np.int64]) -> Instrument:
    prices = np.concatenate([frame[name].to_numpy()[rows] for name in _PRICES])
    finest = _FINEST_DECIMALS if prices.max() < 1 else _USUAL_DECIMALS
    units = (Decimal(1).scaleb(-decimals) for decimals in range(finest + 1))
    unit = next((one for one in units if nearest_units(prices, one)[1].all()), None)
    if unit is None:
        off = ~nearest_units(prices, Decimal(1).scaleb(-finest))[1]
        raise NoPriceUnitError(symbol, float(prices[off][0]), finest)
    leverage = 20 if symbol.endswith(f":{symbol.split('/')[1].split(':')[0]}") else 1
    return Instrument(symbol=symbol, price_unit=unit, lot=Decimal("1e-8"), max_leverage=leverage)


def _align(
    frame: pl.DataFrame,
    stamps: NDArray[np.int64],
    groups: Mapping[str, NDArray[np.int64]],
    specs: Sequence[Instrument],
    times: NDArray[np.int64],
    seconds: int,
) -> Matrices:
    shape = (len(times), len(specs))
    matrices = Matrices(
        open=np.zeros(shape, np.int64),
        high=np.zeros(shape, np.int64),
        low=np.zeros(shape, np.int64),
        close=np.zeros(shape, np.int64),
        volume=np.zeros(shape, np.float64),
        bar_state=np.zeros(shape, np.int8),
        funding_rate=np.zeros(shape, np.int64),
        funding_inside=np.zeros(shape, np.int64),
        in_universe=np.ones(shape, np.int8),
        control=np.zeros(shape, np.int8),
    )
    synthetic = _flags(frame, "is_synthetic", unsaid=False)
    volume, has_open = frame["volume"].to_numpy(), _flags(frame, "has_open", unsaid=True)
    for column, spec in enumerate(specs):
        rows = groups.get(spec.symbol, np.empty(0, np.int64))
        rows = rows[~synthetic[rows]]
        grid = (stamps[rows] - times[0]) // seconds
        for name in _PRICES:
            units = to_units(frame[name].to_numpy()[rows], spec.price_unit, spec.symbol)
            getattr(matrices, name)[grid, column] = units
        matrices.volume[grid, column] = volume[rows]
        matrices.bar_state[grid, column] = bar_states(volume[rows], has_open[rows])
    return matrices


def bar_states(volume: NDArray[np.float64], has_open: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What bars that are there allow, by their volume and whether their beginning is there.

    >>> bar_states(np.array([0.0, 1.0, 1.0]), np.array([True, True, False])).tolist()
    [2, 1, 3]
    """
    traded = np.where(has_open, int(BarState.TRADABLE), int(BarState.NO_OPEN))
    return np.where(volume > 0, traded, int(BarState.UNFILLABLE))


def _flags(frame: pl.DataFrame, name: str, *, unsaid: bool) -> NDArray[np.bool_]:
    if name not in frame.columns:
        return np.full(frame.height, unsaid)
    return frame[name].fill_null(unsaid).to_numpy()


def _place_funding(
    matrices: Matrices, funding: pl.DataFrame, symbols: Sequence[str], times: NDArray[np.int64], seconds: int
) -> None:
    """Put each rate to the open that its stamp is, or into the bar that it falls in; others are not of these bars."""
    _check_funding(funding, symbols)
    stamps = _epoch_seconds(funding, "funding") - times[0]
    for stamp, symbol, rate in zip(stamps, funding["symbol"], funding["funding_rate"], strict=True):
        row = stamp // seconds
        if 0 <= row < len(times):
            target = matrices.funding_inside if stamp % seconds else matrices.funding_rate
            target[row, symbols.index(symbol)] += funding_units(rate, symbol)


def _check_funding(funding: pl.DataFrame, symbols: Sequence[str]) -> None:
    """A rate that stands twice would be paid twice, one of an unknown name or without a number by nobody."""
    missing = [name for name in ("ts", "symbol", "funding_rate") if name not in funding.columns]
    if missing:
        raise MissingColumnsError(f"{', '.join(missing)} (in the funding)")
    unknown = funding.filter(~pl.col("symbol").is_in(list(symbols)))["symbol"]
    if len(unknown):
        raise UnknownInstrumentError(str(unknown[0]), ", ".join(symbols))
    rates = pl.col("funding_rate")
    no_number = rates.is_null() | ~rates.cast(pl.Float64).is_finite()
    for why, wrong in (
        ("its funding rate is no finite number", no_number),
        ("its funding stands twice", pl.struct("symbol", "ts").is_duplicated()),
    ):
        rows = funding.filter(wrong)
        if rows.height:
            raise BarsError(str(rows["symbol"][0]), rows["ts"][0], why)


def funding_units(rate: float | Decimal, symbol: str) -> int:
    """A funding rate as 1e-10, to the nearest.

    Raises:
        BarsError: beyond nine percent.

    >>> funding_units(0.0001, "BTC/USDT:USDT")
    1000000
    """
    units = int((Decimal(str(rate)) * 10**10).to_integral_value())
    if abs(units) > MAX_RATE:
        raise BarsError(symbol, "its funding", f"the rate {rate} is beyond 0.09")
    return units
