"""Whether a strategy's values at a bar depend on bars after it: cut the bars, compute again, compare what was known.

As freqtrade's `lookahead-analysis` does, the strategy's code is not looked at, only what it answers. Here every value
of every bar before the cut is compared, not only those at trades. A strategy is caught at a cut that lies where it
looks, so the cuts are spread by the golden ratio: they meet every phase of a longer interval, and more cuts only add.
How early values settle is in `warmup`.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.selection.strategy_columns import KEYS, Strategy, bar_times, checked, value_columns
from openclaw_pipelines.domain.selection.windows import rows_of
from openclaw_pipelines.kernel.run.bars import Bars

_GOLDEN = 0.6180339887498949
TOLERANCE = 1e-9
"""Floats are the same within this share of their size: a sum over fewer bars may round differently."""


class CutsError(ConfigError):
    """More cuts than bars."""

    template = "{bars} bars cannot be cut at {cuts} places from bar {first} on. Give more bars or fewer cuts."
    bars: int
    cuts: int
    first: int


@dataclass(frozen=True)
class Difference:
    """The earliest bar at which a column was another with the future cut off."""

    column: str
    symbol: str
    bar_at: datetime
    known_until: datetime
    """Close of the last bar that was left."""
    with_future: object
    without_future: object

    def __str__(self) -> str:
        return (
            f"{self.column} of {self.symbol} at {self.bar_at:%Y-%m-%d %H:%M}: {self.with_future} with all bars, "
            f"{self.without_future} with bars until {self.known_until:%Y-%m-%d %H:%M}"
        )


@dataclass(frozen=True)
class LookaheadReport:
    """First difference of each biased column, earliest first; none where the strategy is honest at these cuts."""

    biased: tuple[Difference, ...]
    columns: tuple[str, ...]
    cuts: int

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differed."""
        return not self.biased and self.cuts > 0


def lookahead_report(
    strategy: Strategy, bars: Bars, *, cuts: int = 20, first: int | None = None, tolerance: float = TOLERANCE
) -> LookaheadReport:
    """Compare a strategy over all bars with itself over the bars before each of `cuts` places.

    first: fewest bars that are left, a quarter of them where not given.

    Raises:
        CutsError: there are not that many places. StrategyFrameError: the frame cannot be compared.
    """
    places = cut_places(len(bars.times), cuts, len(bars.times) // 4 if first is None else first)
    full = checked(strategy(bars))
    columns = value_columns(full)
    earliest: dict[str, Difference] = {}
    for place in places:
        cut = rows_of(bars, 0, place)
        known_until = datetime.fromtimestamp(int(cut.times[-1]) + bars.interval_seconds, tz=bar_times(cut)[0].tzinfo)
        known = full.filter(pl.col("bar_at") <= bar_times(cut)[-1])
        for found in _differences(known, checked(strategy(cut)), columns, known_until, tolerance):
            before = earliest.get(found.column)
            if before is None or (found.bar_at, found.symbol) < (before.bar_at, before.symbol):
                earliest[found.column] = found
    biased = tuple(sorted(earliest.values(), key=lambda found: (found.bar_at, found.symbol, found.column)))
    return LookaheadReport(biased, tuple(columns), len(places))


def cut_places(bars: int, cuts: int, first: int) -> list[int]:
    """Distinct numbers of bars to keep, from `first` (at least 2) to all but one, ascending.

    >>> cut_places(100, 5, 50)
    [54, 61, 73, 80, 92]
    """
    first = max(first, 2)
    span = bars - first
    if cuts < 1 or span < cuts:
        raise CutsError(bars, cuts, first)
    places: dict[int, None] = {}
    step = 1
    while len(places) < cuts:
        places[first + int(step * _GOLDEN % 1.0 * span)] = None
        step += 1
    return sorted(places)


def _differences(
    known: pl.DataFrame, again: pl.DataFrame, columns: list[str], known_until: datetime, tolerance: float
) -> list[Difference]:
    both = known.join(again, on=list(KEYS), how="full", coalesce=True, suffix=" again").sort(KEYS)
    found = []
    for name in columns:
        if name not in again.columns:
            both = both.with_columns(pl.lit(None).alias(f"{name} again"))
        rows = np.flatnonzero(differs(both[name], both[f"{name} again"], tolerance))
        if rows.size:
            row = both.row(int(rows[0]), named=True)
            values = (row[name], row[f"{name} again"])
            found.append(Difference(name, row["symbol"], row["bar_at"], known_until, *values))
    return found


def differs(left: pl.Series, right: pl.Series, tolerance: float) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Where two columns differ: floats beyond the tolerance, all else at all. NaN equals NaN and null equals null.

    >>> differs(pl.Series([1.0, None, float("nan")]), pl.Series([1.0, 2.0, float("nan")]), 1e-9).tolist()
    [False, True, False]
    """
    if not (left.dtype.is_float() and right.dtype.is_float()):
        return left.ne_missing(right).to_numpy().astype(np.bool_)
    a, b = left.fill_null(float("nan")).to_numpy(), right.fill_null(float("nan")).to_numpy()
    with np.errstate(invalid="ignore"):
        near = (a == b) | (np.abs(a - b) <= tolerance * np.maximum(np.abs(a), np.abs(b)))
    both_none = (np.isnan(a) & np.isnan(b)) & (left.is_null().to_numpy() == right.is_null().to_numpy())
    return np.asarray(~(near | both_none), np.bool_)
