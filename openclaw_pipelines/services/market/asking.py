"""Asks a market source series by series: what it answers, what of that can be, and until when that is all there is.

What a source answers and cannot be is refused for its own series and noted; the other series go on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import polars as pl

from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.clocks import SECOND, ClockReading, read_clock
from openclaw_pipelines.domain.market.parts import incomplete
from openclaw_pipelines.domain.market.quality.scale import ScaleJumpError, jumps
from openclaw_pipelines.domain.market.quality.units import OffUnitError, off_unit_words, on_unit
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.market.base import CANDLE_COLUMNS, FUNDING_COLUMNS, MarketSource
from openclaw_pipelines.resources.market.errors import UntrueAnswerError
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import source_clock
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.listing import Listed
from openclaw_pipelines.services.market.refusals import Refused

_NO_CANDLES = TABLES["candles"].frame([]).select(CANDLE_COLUMNS)
_NO_FUNDING = TABLES["funding_rates"].frame([]).select(FUNDING_COLUMNS)


@dataclass(frozen=True)
class Answer:
    """Rows of a source and the time up to which they are all there is, by the slower of its clock and the local one.

    clock: what the source's clock showed; None where it tells none or the local one does not tell the present.
    refused: what of the answer is not among the rows, or no tick can take.
    """

    rows: pl.DataFrame
    known_at: datetime
    clock: ClockReading | None = None
    refused: tuple[Refused, ...] = ()


class Asking:
    """Questions to one source at one time; arguments as of `ingest.Ingest`."""

    def __init__(
        self, store: Store, source: MarketSource, as_of: datetime, publish_lag: timedelta, clock: Clock | None,
        *, holds_to_scale: bool,
    ) -> None:  # fmt: skip
        self.store, self.source, self.as_of, self.publish_lag, self.clock = store, source, as_of, publish_lag, clock
        self.holds_to_scale = holds_to_scale
        self.listed = Listed(store, source, as_of)

    def funding(self, symbol: str, start: datetime, end: datetime) -> Answer:
        """Funding of a symbol with `start <= ts < end`."""
        ask = partial(self.source.funding_rates, symbol, start, end, self.as_of)
        return self._answer(symbol, "funding", start, ask, _NO_FUNDING)

    def candles(self, starts: dict[tuple[str, str], datetime], end: datetime) -> dict[tuple[str, str], Answer]:
        """Candles of each series from its start to `end`."""
        stored = market_tables.closes(self.store, self.source.name, starts, end)
        units = market_tables.price_units(self.store, self.source.name)
        answers = {}
        for (symbol, interval), start in starts.items():
            told = self._series(symbol, interval, start, end)
            own = stored.filter((pl.col("symbol") == symbol) & (pl.col("interval") == interval))
            bars, out_of_scale = self._in_scale(told.rows, own)
            refused = (*told.refused, *out_of_scale, *self._off_unit(bars, units))
            answers[symbol, interval] = replace(told, rows=bars, refused=refused)
        return answers

    def _series(self, symbol: str, interval: str, start: datetime, end: datetime) -> Answer:
        """Bars of one series, without those that were built while a part may still be on its way from the exchange."""
        ask = partial(self.source.candles, symbol, interval, start, end, self.as_of)
        told = self._answer(symbol, interval, start, ask, _NO_CANDLES)
        closed_at = pl.col("ts") + interval_length(interval)
        return replace(told, rows=told.rows.filter(~(incomplete() & (closed_at > told.known_at - self.publish_lag))))

    def _answer(
        self, symbol: str, series: str, since: datetime, ask: Callable[[], pl.DataFrame], nothing: pl.DataFrame
    ) -> Answer:
        """Ask, and read the source's clock from its answer: what was withheld by that clock is not known yet."""
        asked_at = self.clock.now() if self.clock else self.as_of
        refused: tuple[Refused, ...] = ()
        try:
            rows = self.listed.ask(symbol, since, ask, nothing)
        except UntrueAnswerError as problem:
            rows, refused = nothing, (Refused(symbol, series, problem),)
        served_at = self.source.served_at()
        if served_at is None:  # also where it was refused before it could be read, so by the clock as it was last told
            return Answer(rows, self._known_by_now(), refused=refused)
        reading = None
        if self.clock is not None and self.clock.real:
            reading = read_clock(self.source.name, asked_at, served_at, self.clock.now())
        return Answer(rows, min(self.as_of, served_at), reading, refused)

    def _known_by_now(self) -> datetime:
        """The time of asking, by the slower of the local clock and the source's as it was told last."""
        last = source_clock(self.store, self.source.name) if self.clock and self.clock.real else None
        return self.as_of - max(last.ahead_seconds, 0) * SECOND if last else self.as_of

    def _in_scale(self, bars: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Refused, ...]]:
        """The bars of one series that go on in its scale, and what is said of the others."""
        found = jumps(bars, stored) if self.holds_to_scale else []
        if not found:
            return bars, ()
        jump, first = found[0], bars.row(found[0].row, named=True)
        problem = ScaleJumpError(
            self.source.name, first["symbol"], first["interval"], first["ts"], jump.factor, jump.before, len(found)
        )
        kept = bars.with_row_index("row").filter(~pl.col("row").is_in([own.row for own in found])).drop("row")
        return kept, (Refused(first["symbol"], first["interval"], problem),)

    def _off_unit(self, bars: pl.DataFrame, units: dict[str, Decimal]) -> tuple[Refused, ...]:
        """What is said of bars of one series that are stored and no tick can take."""
        off = bars.filter(~on_unit(bars, units))
        if off.is_empty():
            return ()
        problem = OffUnitError(self.source.name, off.height, off_unit_words(off, units))
        return (Refused(off["symbol"][0], off["interval"][0], problem, stored=True),)
