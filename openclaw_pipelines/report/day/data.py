"""What the daily report is made from: frames of the ledger and the market, and the day they are cut to."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.domain.governance.account import Change


@dataclass(frozen=True)
class StrategyReport:
    """Rows of one strategy, each frame in the columns of its ledger table. An empty frame may lack its columns.

    fills, equity: from inception on, so that trades and the curve to date are whole. The rest needs the day only; rows
        of other days are passed over.
    interval: length of its bars, as `15m`.
    no_data_reason: why there is nothing for this day, where that is known.
    funding: payments as in `domain.evaluation.trades.closed_trades`, so that trades bear them.
    starts_at: inception; ticks before it are not due.
    enabled: whether it ticks at all.
    """

    name: str
    interval: str
    decisions: pl.DataFrame
    orders: pl.DataFrame
    fills: pl.DataFrame
    equity: pl.DataFrame
    positions: pl.DataFrame
    outcomes: pl.DataFrame
    metrics: pl.DataFrame
    ticks: pl.DataFrame
    reconcile_events: pl.DataFrame
    no_data_reason: str | None = None
    funding: pl.DataFrame | None = None
    starts_at: datetime | None = None
    enabled: bool = True


@dataclass(frozen=True)
class ReportData:
    """One day of one account.

    day: partition, YYYY-MM-DD.
    market: where candles came from, as `simulated`.
    candles: closes as `symbol`, `closed_at`, `close`, one interval.
    checks: asset checks as `name`, `asset`, `partition`, `passed`, `severity` (warning or error), `message`.
    changes: rows of the account's chain that happened or were seen on the day.
    as_of: nothing after this time was known.
    generated_at: when the page was made; printed, so equal inputs give equal bytes.
    version: version of the program.
    """

    day: str
    account: str
    market: str
    as_of: datetime
    generated_at: datetime
    version: str
    strategies: tuple[StrategyReport, ...]
    candles: pl.DataFrame
    checks: pl.DataFrame
    changes: tuple[Change, ...] = ()

    @property
    def start(self) -> datetime:
        """00:00Z of the day."""
        return day_start(self.day)

    @property
    def end(self) -> datetime:
        """00:00Z of the day after, whose tick still belongs to the day."""
        return self.start + DAY


@dataclass(frozen=True)
class Day:
    """One strategy's rows cut to the day: a tick at 00:00 closes the day before."""

    data: ReportData
    strategy: StrategyReport

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """Decisions of the day's ticks."""
        return self._cut(self.strategy.decisions)

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Fills settled in the day."""
        return self._cut(self.strategy.fills)

    @cached_property
    def filled(self) -> pl.DataFrame:
        """Fills with a quantity."""
        return self.fills if self.fills.is_empty() else self.fills.filter(pl.col("qty") > 0)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """Equity after each of the day's ticks."""
        return self._cut(self.strategy.equity)

    @cached_property
    def ticks(self) -> pl.DataFrame:
        """The day's recorded ticks."""
        return self._cut(self.strategy.ticks)

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """Outcomes of the day's decisions."""
        return self._cut(self.strategy.outcomes, "decided_at")

    @cached_property
    def mismatches(self) -> pl.DataFrame:
        """Accounting checks that failed."""
        events = self._cut(self.strategy.reconcile_events)
        return events if events.is_empty() else events.filter(~pl.col("passed"))

    @cached_property
    def open_positions(self) -> pl.DataFrame:
        """Positions after the day's last tick."""
        positions = self._cut(self.strategy.positions)
        if positions.is_empty() or self.equity.is_empty():
            return pl.DataFrame()
        return positions.filter(pl.col("tick_at") == self.equity["tick_at"][-1]).sort("symbol")

    @property
    def expected_ticks(self) -> int:
        """Ticks of the day that were due by `as_of`, after inception."""
        if not self.strategy.enabled:
            return 0
        since = max(self.data.start, self.strategy.starts_at or self.data.start)
        until = min(self.data.end, self.data.as_of)
        return max(0, (until - since) // interval_length(self.strategy.interval))

    @property
    def is_empty(self) -> bool:
        """Whether no tick was recorded."""
        return self.equity.is_empty() and self.ticks.is_empty() and self.decisions.is_empty()

    def _cut(self, frame: pl.DataFrame, column: str = "tick_at") -> pl.DataFrame:
        if frame.is_empty():
            return pl.DataFrame()
        inside = (pl.col(column) > self.data.start) & (pl.col(column) <= self.data.end)
        return frame.filter(inside).sort(column)
