"""Stored market data as the ticks of one walk need it: integer bars, masks, and how far the source was asked."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from openclaw_pipelines.contracts.config import Costs, Quality
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.deployment import Deployment
from openclaw_pipelines.domain.inputs import bars_by_tick
from openclaw_pipelines.domain.masks import entry_masks, window_bars
from openclaw_pipelines.resources import candle_store
from openclaw_pipelines.resources.store import Store


@dataclass
class Feed:
    """Bars and masks per tick.

    covered: per symbol and day until when the source was asked; a bar that closed later is not missing, only unknown.
    """

    bars: dict[datetime, dict[str, tuple[Any, ...]]] = field(default_factory=dict)
    masks: dict[datetime, dict[str, RejectCode]] = field(default_factory=dict)
    covered: dict[tuple[str, str], datetime] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    length: timedelta = timedelta(0)

    @classmethod
    def load(
        cls, store: Store, source: str, deployment: Deployment, start: datetime, end: datetime, costs: Costs
    ) -> "Feed":
        """Bars that open in `start <= ts < end`, with the funding due inside them."""
        args = (store, source, deployment.symbols)
        candles = candle_store.candles(*args, deployment.interval, start, end)
        funding = candle_store.funding_rates(*args, start, end)
        if not costs.funding:
            funding = funding.clear()
        rows = store.query(
            "market",
            "SELECT symbol, day, covered_until FROM candle_coverage "
            "WHERE source = ? AND interval = ? AND day BETWEEN ? AND ?",
            [source, deployment.interval, f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"],
        )
        return cls(
            bars=bars_by_tick(candles, funding, deployment),
            covered={(symbol, day): until for symbol, day, until in rows.iter_rows()},
            symbols=tuple(deployment.symbols),
            length=interval_length(deployment.interval),
        )

    def load_masks(
        self, store: Store, source: str, deployment: Deployment, first: datetime, last: datetime, quality: Quality
    ) -> None:
        """Control codes of the data-quality rules for the ticks from `first` to `last`."""
        start = first - window_bars(quality) * self.length
        candles = candle_store.candles(store, source, deployment.symbols, deployment.interval, start, last)
        codes = entry_masks(candles, deployment.symbols, first, last, deployment.interval, quality)
        for n, row in enumerate(codes):
            by_symbol = zip(deployment.symbols, row, strict=True)
            self.masks[first + n * self.length] = {symbol: RejectCode(int(code)) for symbol, code in by_symbol}

    def not_covered(self, tick_at: datetime) -> tuple[str, datetime | None] | None:
        """First symbol whose bar of this tick was not asked for after it closed, and until when it was."""
        day = (tick_at - self.length).strftime("%Y-%m-%d")
        for symbol in self.symbols:
            until = self.covered.get((symbol, day))
            if until is None or until < tick_at:
                return symbol, until
        return None
