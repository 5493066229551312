"""Brings market data into the store: whole days for backfills, what is new for live ticks.

How far each day was asked for is kept beside candles and funding, so that what does not exist can be told from what
nobody asked for yet. Sources are in `market`, the tables in `market_tables`. What a source answers and cannot be is
refused for its own series and noted; the other series go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Self

import polars as pl

from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.market.parts import incomplete
from openclaw_pipelines.domain.market.quality.scale import ScaleJumpError, jumps
from openclaw_pipelines.domain.market.quality.units import OffUnitError, off_unit_words, on_unit
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS, MarketSource
from openclaw_pipelines.resources.market.errors import UntrueAnswerError
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import FUNDING_GRID, FUNDING_LATE, coverage, funding_asked, perpetuals
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.listing import Listed
from openclaw_pipelines.settings import Settings

_NO_CANDLES = TABLES["candles"].frame([]).select(CANDLE_COLUMNS)
_NO_FUNDING = TABLES["funding_rates"].frame([]).select(FUNDING_COLUMNS)

RECHECKED_BARS = 3
"""Stored bars that a live refresh asks for again, to see whether the source changed its mind."""


@dataclass(frozen=True)
class Refused:
    """An answer for one series that cannot be, or bars of it that no tick can take.

    series: interval of the bars, or `funding`.
    """

    symbol: str
    series: str
    problem: OpenclawError


@dataclass(frozen=True)
class Ingested:
    """What became of one request for candles. Counts are bars.

    series: bars per symbol and interval, as `BTC/USDT 1m`.
    refused: what of the answers was not stored, or no tick can take.
    """

    inserted: int
    unchanged: int
    revised: int
    followed: int
    first: datetime | None
    last: datetime | None
    series: dict[str, int]
    refused: tuple[Refused, ...] = ()

    @property
    def rows(self) -> int:
        """Bars that the source gave."""
        return self.inserted + self.unchanged + self.revised + self.followed


@dataclass(frozen=True)
class IngestedFunding(market_tables.Written):
    """What became of one request for funding."""

    refused: tuple[Refused, ...] = ()


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
    """

    def __init__(
        self,
        store: Store,
        source: MarketSource,
        symbols: Iterable[str],
        intervals: Iterable[str],
        publish_lag: timedelta = timedelta(0),
    ) -> None:
        self.store, self.source, self.publish_lag = store, source, publish_lag
        self.symbols, self.intervals = tuple(symbols), tuple(intervals)

    @classmethod
    def of(cls, world: World) -> Self:
        """For the configured symbols and intervals."""
        settings = world.settings()
        return cls(world.store, world.market, settings.market.symbols, settings.intervals, publish_lag(settings))

    def candles_day(self, day: str, as_of: datetime) -> Ingested:
        """Ask for the candles of a whole day as far as they have closed."""
        start = day_start(day)
        return self._ask({(s, i): start for s in self.symbols for i in self.intervals}, start, as_of)

    def candles_since(self, day: str, as_of: datetime) -> Ingested:
        """Ask for the candles of a day that closed since the last time."""
        start = day_start(day)
        return self._ask(self._continuing(start), start, as_of)

    def funding_day(self, day: str, as_of: datetime) -> IngestedFunding:
        """Ask for the funding of a day.

        Raises:
            UntrueAnswerError: no symbol's answer can be; nothing is stored.
        """
        start, end = day_start(day), day_start(day) + DAY
        listed, ask = Listed(self.store, self.source, as_of), self.source.funding_rates
        rates, refused = {}, []
        for symbol in self.symbols:
            try:
                rates[symbol] = listed.ask(symbol, start, partial(ask, symbol, start, end, as_of), _NO_FUNDING)
            except UntrueAnswerError as problem:
                refused.append(Refused(symbol, "funding", problem))
        if refused and not rates:
            raise refused[0].problem
        covered = self._funding_covered(rates, start, end, as_of)
        told = pl.concat(list(rates.values()))
        written = market_tables.append_funding(self.store, told, as_of, covered, self._refused(refused, start, as_of))
        return IngestedFunding(**vars(written), refused=tuple(refused))

    def instruments(self, as_of: datetime) -> market_tables.Upserted:
        """Store the source's instruments of the configured symbols."""
        listed = Listed(self.store, self.source, as_of)
        return market_tables.upsert_instruments(self.store, listed.instruments(self.symbols))

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
        """Ask for every series and store what can be.

        Raises:
            UntrueAnswerError, ScaleJumpError: no series' answer can be; nothing is stored.
        """
        listed = Listed(self.store, self.source, as_of)
        frames: dict[tuple[str, str], pl.DataFrame] = {}
        refused: list[Refused] = []
        stored = market_tables.closes(self.store, self.source.name, starts, day + DAY)
        units = market_tables.price_units(self.store, self.source.name)
        for (symbol, interval), start in starts.items():
            try:
                told = self._series(listed, symbol, interval, start, day + DAY)
            except UntrueAnswerError as problem:
                told = _NO_CANDLES
                refused.append(Refused(symbol, interval, problem))
            own = stored.filter((pl.col("symbol") == symbol) & (pl.col("interval") == interval))
            frames[symbol, interval], jump = self._in_scale(told, own)
            refused += [Refused(symbol, interval, jump)] if jump else []
            refused += self._off_unit(frames[symbol, interval], units)
        bars = pl.concat(list(frames.values()))
        if refused and bars.is_empty():
            raise refused[0].problem
        covered = self._covered(frames, day, day + DAY, as_of)
        written = market_tables.append_candles(self.store, bars, as_of, covered, self._refused(refused, day, as_of))
        first, last = bars["ts"].min(), bars["ts"].max()
        return Ingested(
            written.inserted,
            written.unchanged,
            written.revised,
            written.followed,
            first if isinstance(first, datetime) else None,
            last if isinstance(last, datetime) else None,
            {f"{symbol} {interval}": frame.height for (symbol, interval), frame in frames.items()},
            tuple(refused),
        )

    def _in_scale(self, bars: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, ScaleJumpError | None]:
        """The bars of one series that go on in its scale, and what is said of the others."""
        found = jumps(bars, stored)
        if not found:
            return bars, None
        jump, first = found[0], bars.row(found[0].row, named=True)
        problem = ScaleJumpError(
            self.source.name, first["symbol"], first["interval"], first["ts"], jump.factor, jump.before, len(found)
        )
        return bars.with_row_index("row").filter(~pl.col("row").is_in([own.row for own in found])).drop("row"), problem

    def _off_unit(self, bars: pl.DataFrame, units: dict[str, Decimal]) -> list[Refused]:
        """What is said of bars of one series that are stored and no tick can take."""
        off = bars.filter(~on_unit(bars, units))
        if off.is_empty():
            return []
        problem = OffUnitError(self.source.name, off.height, off_unit_words(off, units))
        return [Refused(off["symbol"][0], off["interval"][0], problem)]

    def _refused(self, refused: list[Refused], day: datetime, now: datetime) -> pl.DataFrame:
        shared = {"source": self.source.name, "day": f"{day:%Y-%m-%d}", "first_seen_at": now, "last_seen_at": now}
        rows = [{**shared, "symbol": own.symbol, "series": own.series, "reason": str(own.problem)} for own in refused]
        return TABLES["refused_answers"].frame(rows)

    def _series(self, listed: Listed, symbol: str, interval: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Bars of one series, without those that were built while a part may still be on its way from the exchange."""
        ask = partial(self.source.candles, symbol, interval, start, end, listed.as_of)
        bars = listed.ask(symbol, start, ask, _NO_CANDLES)
        closed_at = pl.col("ts") + interval_length(interval)
        return bars.filter(~(incomplete() & (closed_at > listed.as_of - self.publish_lag)))

    def _covered(
        self, frames: dict[tuple[str, str], pl.DataFrame], day: datetime, end: datetime, as_of: datetime
    ) -> pl.DataFrame:
        rows = []
        for (symbol, interval), bars in frames.items():
            newest = bars["ts"].max()
            closed = newest + interval_length(interval) if isinstance(newest, datetime) else day
            until = min(end, max(closed, min(as_of - self.publish_lag, end)))
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

    def _funding_covered(
        self, rates: dict[str, pl.DataFrame], day: datetime, end: datetime, as_of: datetime
    ) -> pl.DataFrame:
        asked = floor_to(as_of - FUNDING_LATE, FUNDING_GRID)
        rows = []
        for symbol in perpetuals(self.symbols):
            newest = rates[symbol]["ts"].max() if symbol in rates else None
            until = max(newest, asked) if isinstance(newest, datetime) else asked
            if until >= day:
                own = {"source": self.source.name, "symbol": symbol, "day": f"{day:%Y-%m-%d}"}
                rows.append({**own, "covered_until": min(until, end)})
        return TABLES["funding_coverage"].frame(rows)
