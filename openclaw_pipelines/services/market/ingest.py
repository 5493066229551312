"""Brings market data into the store: whole days for backfills, what is new for live ticks.

How far each day was asked for is kept beside candles and funding, so that what does not exist can be told from what
nobody asked for yet. Sources are in `market`, the tables in `market_tables`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Self

import polars as pl

from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.market.clocks import ClockReading, read_clock
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import FUNDING_GRID, FUNDING_LATE, coverage, funding_asked, perpetuals
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.settings import Settings

RECHECKED_BARS = 3
"""Stored bars that a live refresh asks for again, to see whether the source changed its mind."""


@dataclass(frozen=True)
class Ingested:
    """What became of one request for candles. Counts are bars.

    series: bars per symbol and interval, as `BTC/USDT 1m`.
    """

    inserted: int
    unchanged: int
    revised: int
    first: datetime | None
    last: datetime | None
    series: dict[str, int]

    @property
    def rows(self) -> int:
        """Bars that the source gave."""
        return self.inserted + self.unchanged + self.revised


@dataclass(frozen=True)
class Answer:
    """Rows of a source and the time up to which they are all there is, by the slower of its clock and the local one.

    clock: what the source's clock showed; None where it tells none or the local one does not tell the present.
    """

    rows: pl.DataFrame
    known_at: datetime
    clock: ClockReading | None


def publish_lag(settings: Settings) -> timedelta:
    """How long a live exchange may take to publish a closed bar; files and the simulation know at once."""
    if settings.market.source is not SourceKind.CCXT:
        return timedelta(0)
    return timedelta(seconds=max(s.own.bar_deadline_seconds for s in settings.strategies.values()))


class Ingest:
    """Asks one market source and stores what it answers.

    Args:
        store: where to.
        source: the market source.
        symbols: instruments.
        intervals: bar lengths.
        publish_lag: how long after its close a bar may still be on its way; zero where the source knows at once.
        clock: the local clock, held against the source's; None where nobody asks how far they are apart.
    """

    def __init__(
        self,
        store: Store,
        source: MarketSource,
        symbols: Iterable[str],
        intervals: Iterable[str],
        publish_lag: timedelta = timedelta(0),
        clock: Clock | None = None,
    ) -> None:
        self.store, self.source, self.publish_lag, self.clock = store, source, publish_lag, clock
        self.symbols, self.intervals = tuple(symbols), tuple(intervals)

    @classmethod
    def of(cls, world: World) -> Self:
        """For the configured symbols and intervals."""
        settings = world.settings()
        own = (settings.market.symbols, settings.intervals, publish_lag(settings))
        return cls(world.store, world.market, *own, world.clock)

    def candles_day(self, day: str, as_of: datetime) -> Ingested:
        """Ask for the candles of a whole day as far as they have closed."""
        start = day_start(day)
        return self._ask({(s, i): start for s in self.symbols for i in self.intervals}, start, as_of)

    def candles_since(self, day: str, as_of: datetime) -> Ingested:
        """Ask for the candles of a day that closed since the last time."""
        start = day_start(day)
        return self._ask(self._continuing(start), start, as_of)

    def funding_day(self, day: str, as_of: datetime) -> market_tables.Written:
        """Ask for the funding of a day."""
        start, end = day_start(day), day_start(day) + DAY
        rates = {
            symbol: self._answer(partial(self.source.funding_rates, symbol, start, end, as_of), as_of)
            for symbol in self.symbols
        }
        covered = self._funding_covered(rates, start, end)
        rows = pl.concat([answer.rows for answer in rates.values()])
        return market_tables.append_funding(self.store, rows, as_of, covered)

    def instruments(self, as_of: datetime) -> market_tables.Upserted:
        """Store the source's instruments of the configured symbols."""
        return market_tables.upsert_instruments(self.store, self.source.instruments(self.symbols, as_of))

    def unknown_instruments(self) -> list[str]:
        """Configured symbols of which the store has no instrument."""
        known = market_tables.instruments(self.store, self.source.name)["symbol"].to_list()
        return [symbol for symbol in self.symbols if symbol not in known]

    def behind(self, day: str, now: datetime) -> bool:
        """Whether bars of the day have closed, or funding of it fallen due, that the source was not asked for."""
        covered = coverage(self.store, self.source.name, [day])
        due = min(floor_to(now - FUNDING_LATE, FUNDING_GRID), day_start(day) + DAY - FUNDING_GRID)
        if not funding_asked(self.store, self.source.name, self.symbols, due):
            return True
        for interval in self.intervals:
            closed = min(floor_to(now, interval_length(interval)), day_start(day) + DAY)
            for symbol in self.symbols:
                until = covered.get((symbol, interval, day))
                if until is None or until < closed:
                    return True
        return False

    def _continuing(self, day: datetime) -> dict[tuple[str, str], datetime]:
        """Where each series of the running day goes on: some bars before the point up to which it was asked."""
        covered = coverage(self.store, self.source.name, [f"{day:%Y-%m-%d}"])
        starts = {}
        for symbol in self.symbols:
            for interval in self.intervals:
                until = covered.get((symbol, interval, f"{day:%Y-%m-%d}"), day)
                again = floor_to(until, interval_length(interval)) - RECHECKED_BARS * interval_length(interval)
                starts[symbol, interval] = max(day, again)
        return starts

    def _ask(self, starts: dict[tuple[str, str], datetime], day: datetime, as_of: datetime) -> Ingested:
        answers = {
            series: self._answer(partial(self.source.candles, *series, start, day + DAY, as_of), as_of)
            for series, start in starts.items()
        }
        bars = pl.concat([answer.rows for answer in answers.values()])
        read = [answer.clock for answer in answers.values() if answer.clock]
        covered = self._covered(answers, day, day + DAY)
        written = market_tables.append_candles(self.store, bars, as_of, covered, read[-1] if read else None)
        first, last = bars["ts"].min(), bars["ts"].max()
        return Ingested(
            written.inserted,
            written.unchanged,
            written.revised,
            first if isinstance(first, datetime) else None,
            last if isinstance(last, datetime) else None,
            {f"{symbol} {interval}": answer.rows.height for (symbol, interval), answer in answers.items()},
        )

    def _answer(self, ask: Callable[[], pl.DataFrame], as_of: datetime) -> Answer:
        """Ask, and read the source's clock from its answer: what was withheld by that clock is not known yet."""
        asked_at = self.clock.now() if self.clock else as_of
        rows, served_at = ask(), self.source.served_at()
        if served_at is None:
            return Answer(rows, as_of, None)
        if self.clock is None or not self.clock.real:
            return Answer(rows, min(as_of, served_at), None)
        reading = read_clock(self.source.name, asked_at, served_at, self.clock.now())
        return Answer(rows, min(as_of, served_at), reading)

    def _covered(self, answers: dict[tuple[str, str], Answer], day: datetime, end: datetime) -> pl.DataFrame:
        rows = []
        for (symbol, interval), answer in answers.items():
            newest = answer.rows["ts"].max()
            closed = newest + interval_length(interval) if isinstance(newest, datetime) else day
            until = min(end, max(closed, min(answer.known_at - self.publish_lag, end)))
            rows.append(
                {
                    "source": self.source.name,
                    "symbol": symbol,
                    "interval": interval,
                    "day": f"{day:%Y-%m-%d}",
                    "covered_until": max(until, day),
                }
            )
        return TABLES["candle_coverage"].frame(rows)

    def _funding_covered(self, rates: dict[str, Answer], day: datetime, end: datetime) -> pl.DataFrame:
        rows = []
        for symbol in perpetuals(self.symbols):
            asked = floor_to(rates[symbol].known_at - FUNDING_LATE, FUNDING_GRID)
            newest = rates[symbol].rows["ts"].max()
            until = max(newest, asked) if isinstance(newest, datetime) else asked
            if until >= day:
                own = {"source": self.source.name, "symbol": symbol, "day": f"{day:%Y-%m-%d}"}
                rows.append({**own, "covered_until": min(until, end)})
        return TABLES["funding_coverage"].frame(rows)
