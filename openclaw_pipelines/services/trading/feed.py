"""Stored market data as the ticks of one walk need it: integer bars, masks, and how far the source was asked."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.config.trading import Costs
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.time import DAY, day_start, interval_length
from openclaw_pipelines.domain.market.instruments import Listing, listings, untradable
from openclaw_pipelines.domain.market.masks import entry_masks, window_bars
from openclaw_pipelines.domain.market.quality.units import usable
from openclaw_pipelines.domain.trading.deployment import Deployment
from openclaw_pipelines.domain.trading.inputs import bars_by_tick
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import coverage, funding_coverage, funding_due, perpetuals
from openclaw_pipelines.resources.store.store import Store


class Unknown(NamedTuple):
    """What a tick needs and nobody asked for.

    asset: where it would come from. until: when it was asked for last; None for never.
    """

    asset: str
    symbol: str
    until: datetime | None

    def __str__(self) -> str:
        """For the terminal."""
        return f"{self.symbol} {'bar' if self.asset == 'candles' else 'funding'}"


@dataclass
class Feed:
    """Bars and masks per tick.

    listed: what the source says of the symbols now; the deployment's instruments stay as they were at its start.
    covered: per symbol and day until when the source was asked; a bar that closed later is not missing, only unknown.
    funded: the same for funding. perpetuals: symbols that are charged it, none where the costs leave it out.
    """

    bars: dict[datetime, dict[str, tuple[object, ...]]] = field(default_factory=dict)
    masks: dict[datetime, dict[str, RejectCode]] = field(default_factory=dict)
    covered: dict[tuple[str, str], datetime] = field(default_factory=dict)
    funded: dict[tuple[str, str], datetime] = field(default_factory=dict)
    listed: dict[str, Listing] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    perpetuals: tuple[str, ...] = ()
    length: timedelta = timedelta(0)

    @classmethod
    def load(
        cls, store: Store, source: str, deployment: Deployment, start: datetime, end: datetime, costs: Costs
    ) -> "Feed":
        """Bars that open in `start <= ts < end`, with the funding due inside them."""
        args = (store, source, deployment.symbols)
        candles = market_tables.candles(*args, deployment.interval, start, end)
        funding = market_tables.funding_rates(*args, start, end)
        if not costs.funding:
            funding = funding.clear()
        days = [f"{day_start(f'{start:%Y-%m-%d}') + n * DAY:%Y-%m-%d}" for n in range((end - start) // DAY + 2)]
        covered = coverage(store, source, days)
        return cls(
            bars=bars_by_tick(candles, funding, deployment),
            covered={(symbol, day): at for (symbol, own, day), at in covered.items() if own == deployment.interval},
            listed=listings(market_tables.instruments(store, source, deployment.symbols)),
            funded=funding_coverage(store, source, days) if costs.funding else {},
            symbols=tuple(deployment.symbols),
            perpetuals=tuple(perpetuals(deployment.symbols)) if costs.funding else (),
            length=interval_length(deployment.interval),
        )

    def load_masks(
        self, store: Store, source: str, deployment: Deployment, first: datetime, last: datetime, quality: Quality
    ) -> None:
        """Control codes of the data-quality rules for the ticks from `first` to `last`."""
        start = first - window_bars(quality) * self.length
        candles = market_tables.candles(store, source, deployment.symbols, deployment.interval, start, last)
        known = usable(candles, deployment.price_units)
        codes = entry_masks(known, deployment.symbols, first, last, deployment.interval, quality)
        for n, row in enumerate(codes):
            by_symbol = zip(deployment.symbols, row, strict=True)
            self.masks[first + n * self.length] = {symbol: RejectCode(int(code)) for symbol, code in by_symbol}

    def untradable(self, tick_at: datetime) -> frozenset[str]:
        """Symbols that the source lets nobody enter at a tick: delisted by then, or in another state."""
        return untradable(self.listed, self.symbols, tick_at)

    def not_covered(self, tick_at: datetime) -> Unknown | None:
        """What of this tick was not asked for: a bar after its close, or funding after its time."""
        day, due = (tick_at - self.length).strftime("%Y-%m-%d"), funding_due(tick_at, self.length)
        for symbol in self.symbols:
            until = self.covered.get((symbol, day))
            if until is None or until < tick_at:
                return Unknown("candles", symbol, until)
        for symbol in self.perpetuals:
            until = self.funded.get((symbol, day))
            if due is not None and (until is None or until < due):
                return Unknown("funding_rates", symbol, until)
        return None
