"""Brings market data into the store: whole days for backfills, what is new for live ticks.

How far each day was asked for is kept beside candles and funding, so that what does not exist can be told from what
nobody asked for yet. Sources are in `market`, the tables in `market_tables`. Asking one
series after the other is in `asking`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.market.base import MarketSource
from openclaw_pipelines.resources.store import market_appends, market_tables
from openclaw_pipelines.resources.store.coverage import FUNDING_GRID, FUNDING_LATE, coverage, funding_asked, perpetuals
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.market.asking import Answer, Asking
from openclaw_pipelines.services.market.listing import Listed
from openclaw_pipelines.services.market.refusals import REFUSALS_IN_A_ROW, Refusals, Refused
from openclaw_pipelines.settings import Settings

RECHECKED_BARS = 3
"""Stored bars that a live refresh asks for again, to see whether the source changed its mind."""


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
class IngestedFunding(market_appends.Written):
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
        clock: the local clock, held against the source's; None where nobody asks how far they are apart.
        holds_to_scale: whether bars of another scale than the stored ones are refused, as of an exchange. Those of
            files are stored as they are and listed by the check `scale_jumps`.
        patience: refused answers in a row after which a series counts as asked.
    """

    def __init__(
        self,
        store: Store,
        source: MarketSource,
        symbols: Iterable[str],
        intervals: Iterable[str],
        publish_lag: timedelta = timedelta(0),
        clock: Clock | None = None,
        *,
        holds_to_scale: bool = True,
        patience: int = 1,
    ) -> None:
        self.store, self.source, self.publish_lag, self.clock = store, source, publish_lag, clock
        self.symbols, self.intervals, self.holds_to_scale = tuple(symbols), tuple(intervals), holds_to_scale
        self.patience = patience

    @classmethod
    def of(cls, world: World) -> Self:
        """For the configured symbols and intervals."""
        settings = world.settings()
        own = (settings.market.symbols, settings.intervals, publish_lag(settings))
        asked = settings.market.source is SourceKind.CCXT
        return cls(
            world.store,
            world.market,
            *own,
            world.clock,
            holds_to_scale=asked,
            patience=REFUSALS_IN_A_ROW if asked else 1,
        )

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
            UntrueAnswerError: no answer for a perpetual can be; nothing is stored.
        """
        start, asking = day_start(day), self._asking(as_of)
        rates = {symbol: asking.funding(symbol, start, start + DAY) for symbol in self.symbols}
        refused = [problem for answer in rates.values() for problem in answer.refused]
        if refused and len(refused) == len(perpetuals(self.symbols)):
            raise refused[0].problem
        refusals = self._refusals(day, refused)
        told, covered = pl.concat([own.rows for own in rates.values()]), self._funding_covered(rates, start, refusals)
        noted = refusals.rows(as_of, [(symbol, "funding") for symbol in rates])
        written = market_appends.append_funding(self.store, told, as_of, covered, noted)
        return IngestedFunding(**vars(written), refused=tuple(refused))

    def _asking(self, as_of: datetime) -> Asking:
        return Asking(self.store, self.source, as_of, self.publish_lag, self.clock, holds_to_scale=self.holds_to_scale)

    def _refusals(self, day: str, refused: Iterable[Refused]) -> Refusals:
        return Refusals(self.store, self.source.name, self.symbols, day, refused, self.patience)

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
        asking = self._asking(as_of)
        answers = asking.candles(starts, day + DAY)
        refused = [problem for answer in answers.values() for problem in answer.refused]
        bars = pl.concat([answer.rows for answer in answers.values()])
        if refused and bars.is_empty():
            raise refused[0].problem
        clocks, refusals = (
            [own.clock for own in answers.values() if own.clock],
            self._refusals(f"{day:%Y-%m-%d}", refused),
        )
        written = market_appends.append_candles(
            self.store, bars, as_of, self._covered(answers, day, refusals), refusals.rows(as_of, answers),
            clocks[-1] if clocks else None,
        )  # fmt: skip
        first, last = bars["ts"].min(), bars["ts"].max()
        return Ingested(
            written.inserted,
            written.unchanged,
            written.revised,
            written.followed,
            first if isinstance(first, datetime) else None,
            last if isinstance(last, datetime) else None,
            {f"{symbol} {interval}": answer.rows.height for (symbol, interval), answer in answers.items()},
            tuple(refused),
        )

    def _covered(self, answers: dict[tuple[str, str], Answer], day: datetime, refusals: Refusals) -> pl.DataFrame:
        rows, end = [], day + DAY
        for (symbol, interval), answer in answers.items():
            if refusals.awaited(symbol, interval):
                continue
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

    def _funding_covered(self, rates: dict[str, Answer], day: datetime, refusals: Refusals) -> pl.DataFrame:
        rows, end = [], day + DAY
        for symbol in perpetuals(self.symbols):
            if refusals.awaited(symbol, "funding"):
                continue
            asked = floor_to(rates[symbol].known_at - FUNDING_LATE, FUNDING_GRID)
            newest = rates[symbol].rows["ts"].max()
            until = max(newest, asked) if isinstance(newest, datetime) else asked
            if until >= day:
                own = {"source": self.source.name, "symbol": symbol, "day": f"{day:%Y-%m-%d}"}
                rows.append({**own, "covered_until": min(until, end)})
        return TABLES["funding_coverage"].frame(rows)
