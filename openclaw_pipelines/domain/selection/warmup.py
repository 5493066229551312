"""Whether a strategy's values have settled once its declared warm-up is over: start later, compare the same bar.

As freqtrade's `recursive-analysis` does, which reports how far an indicator's last value moves with the number of
start-up candles. Here each column is compared at the first bar after the warm-up, the worst one, over several starts,
in standard deviations of the column itself: a share of its size would call an average of prices settled when it is
far off, and RSI unsettled when it is not.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.domain.selection.strategy_columns import KEYS, Strategy, bar_times, checked, value_columns
from openclaw_pipelines.domain.selection.windows import rows_of
from openclaw_pipelines.kernel.run.bars import Bars

LARGEST_DRIFT = 0.25
"""Standard deviations that an indicator may be off when its strategy may first act on it. The kernel's families
stay within 0.15, the most being ADX, which smooths twice; an average whose seed still counts is off by far more."""


class WarmupError(ConfigError):
    """Bars that end before a late start is warm."""

    template = "{bars} bars are too few for {starts} later starts of {warmup_bars} warm-up bars each. Give more bars."
    bars: int
    starts: int
    warmup_bars: int


@dataclass(frozen=True)
class Drift:
    """The worst that one column was off at the first warm bar of a later start.

    drift: in standard deviations of the column for floats; for decisions the share of starts and symbols that differ.
    """

    column: str
    symbol: str
    bar_at: datetime
    drift: float
    settled_value: object
    late_value: object

    def __str__(self) -> str:
        late, settled = _shown(self.late_value), _shown(self.settled_value)
        return f"{self.column} of {self.symbol} at {self.bar_at:%Y-%m-%d %H:%M}: {late}, settled {settled}, " + (
            f"off by {self.drift:.3f}"
        )


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class WarmupReport:
    """Drift of every column, worst first. Only floats decide; decisions follow from them and are told."""

    drifts: tuple[Drift, ...]
    unsettled: tuple[Drift, ...]
    starts: int
    warmup_bars: int

    @property
    def passed(self) -> bool:
        """Whether something was compared and everything had settled."""
        return not self.unsettled and bool(self.drifts)


def warmup_report(
    strategy: Strategy, bars: Bars, warmup_bars: int, *, starts: int = 8, largest_drift: float = LARGEST_DRIFT
) -> WarmupReport:
    """Start a strategy later at `starts` places, spread evenly, and compare it when its warm-up is over.

    warmup_bars: bars after which the strategy may act, as it declares. The run over all bars is the settled one; the
    earliest later start lies one warm-up behind the first bar and half of the bars at most.

    Raises:
        WarmupError: the bars end before. StrategyFrameError: the frame cannot be compared.
    """
    n = len(bars.times)
    earliest, latest = min(max(warmup_bars, n // 4), n // 2), n - warmup_bars - 1
    if latest - earliest < starts or starts < 1:
        raise WarmupError(n, starts, warmup_bars)
    full = checked(strategy(bars))
    scales = _scales(full, bar_times(bars)[earliest])
    compared: dict[str, list[Drift]] = {name: [] for name in value_columns(full)}
    for start in np.linspace(earliest, latest, starts).astype(int).tolist():
        late = checked(strategy(rows_of(bars, start, start + warmup_bars + 1)))
        for drift in _drifts(full, late, scales, bar_times(bars)[start + warmup_bars]):
            compared[drift.column].append(drift)
    floats = {name for name in compared if full[name].dtype.is_float()}
    worst = [_worst(found, is_float=name in floats) for name, found in compared.items() if found]
    drifts = tuple(sorted(worst, key=lambda drift: (-drift.drift, drift.column)))
    unsettled = tuple(d for d in drifts if d.column in floats and not d.drift <= largest_drift)
    return WarmupReport(drifts, unsettled, starts, warmup_bars)


def _scales(full: pl.DataFrame, since: datetime) -> dict[tuple[str, str], float]:
    """Standard deviation of each float column and symbol once the full run is warm."""
    scales = {}
    for (symbol,), rows in full.filter(pl.col("bar_at") >= since).group_by("symbol"):
        for name in value_columns(full):
            if full[name].dtype.is_float():
                spread = rows[name].fill_nan(None).std()
                scales[name, str(symbol)] = float(spread) if isinstance(spread, float) else 0.0
    return scales


def _drifts(
    full: pl.DataFrame, late: pl.DataFrame, scales: dict[tuple[str, str], float], bar_at: datetime
) -> list[Drift]:
    """Every column and symbol at one bar."""
    settled = full.filter(pl.col("bar_at") == bar_at)
    both = settled.join(late, on=list(KEYS), how="left", suffix=" late")
    found = []
    for row in both.iter_rows(named=True):
        for name in value_columns(full):
            values = row[name], row.get(f"{name} late")
            drift = _drift(*values, scales.get((name, row["symbol"])))
            found.append(Drift(name, row["symbol"], bar_at, drift, *values))
    return found


def _drift(settled: object, late: object, scale: float | None) -> float:
    """Distance in standard deviations; 1 or 0 for decisions; infinite where only one of the two is a number."""
    if scale is None:
        return float(settled != late)
    a, b = (float("nan") if value is None else float(str(value)) for value in (settled, late))
    if a == b or (np.isnan(a) and np.isnan(b)):
        return 0.0
    gap = abs(a - b)
    return gap / scale if scale > 0.0 and np.isfinite(gap) else float("inf")


def _worst(found: list[Drift], *, is_float: bool) -> Drift:
    worst = max(found, key=lambda drift: drift.drift)
    share = sum(drift.drift for drift in found) / len(found)
    return worst if is_float else replace(worst, drift=share)
