"""What a cycle's runs read: bars out of the store, instruments as shipped, limits and costs as configured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.enums import Mode
from openclaw_pipelines.contracts.errors import DataError
from openclaw_pipelines.contracts.time import DAY, interval_length
from openclaw_pipelines.domain.factory.contract import RunContract, costs_payload, limits_hash
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.market.instruments import instruments_of
from openclaw_pipelines.domain.market.masks import Codes
from openclaw_pipelines.domain.market.quality.units import usable
from openclaw_pipelines.domain.selection.windows import Window, bars_between
from openclaw_pipelines.domain.trading.admission import (
    Entries,
    flags_by_day,
    mask_window,
    refusing_codes,
    universes,
)
from openclaw_pipelines.domain.trading.deployment import Deployment, kernel_instrument
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.compile_cache import sources_hash
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.replay import Costs, Terms
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.policy import policy_of
from openclaw_pipelines.services.market.history import days_between, uncovered_days
from openclaw_pipelines.settings import Settings, StrategySettings


class MarketDaysMissingError(DataError):
    """Days that a cycle reads are not in the store."""

    template = (
        "{recipe} reads {first} to {last}, and the market source was not asked for {missing}. "
        "Materialize `candles` and `funding_rates` of these days; `openclaw factory run` does so by itself."
    )
    recipe: str
    first: str
    last: str
    missing: str


@dataclass(frozen=True)
class Run:
    """Bars of a window with their warm-up, and the terms of a run over them."""

    bars: Bars
    terms: Terms
    contract: RunContract


class MarketData:
    """Bars and terms of one recipe, as the store and the configuration have them now.

    whole: train to holdout; `warmup_bars` before it are read too, as far as they are stored.
    """

    def __init__(self, world: World, strategy: StrategySettings, whole: Window, profile: str) -> None:
        self.world, self.strategy, self.whole, self.profile = world, strategy, whole, profile
        self.source = world.source

    @cached_property
    def settings(self) -> Settings:
        """The configuration."""
        return self.world.settings()

    @cached_property
    def deployment(self) -> Deployment:
        """The strategy as it would be deployed at the start of the range, for its instruments and limits."""
        rows = market_tables.instruments(self.world.store, self.source).to_dicts()
        own = self.strategy
        return Deployment(
            self.settings.config.account, own.name, own.own.family, dict(own.params), own.own.interval,
            own.own.capital, self.whole.start, instruments_of(self.source, list(own.symbols), rows),
            own.deployment_fingerprint(self.source), self.source,
        )  # fmt: skip

    @cached_property
    def policy(self) -> Policy:
        """Limits of a run; what an operator switched for today (mode, canary, pause) is left out."""
        return replace(policy_of(self.strategy), mode=Mode.AUTO, shadow=False, paused=False, canary_bps=10_000)

    @cached_property
    def entries(self) -> Entries:
        """What refuses entries in a tick of the strategy: lists, universe and masks."""
        own, store = self.strategy.own, self.world.store
        return Entries(
            self.strategy.name, self.deployment.instruments, self.policy, frozenset(own.allow),
            frozenset(own.deny), frozenset(self.strategy.symbols) - self.strategy.enabled_symbols,
            self.strategy.universe, self.settings.config.quality, market_tables.instruments(store, self.source),
        )  # fmt: skip

    @cached_property
    def terms(self) -> Terms:
        """Capital, costs and limits of a run."""
        policy, own = self.policy, self.strategy.costs
        return Terms(
            costs=Costs(fee_bps=own.taker_fee_bps, slippage_bps=own.slippage_bps, funding=own.funding),
            profile=self.profile,
            capital=self.strategy.own.capital,
            limits=self.deployment.limits(policy),
            account_limits=self.deployment.account_limits(policy, layout.Halt.OFF),
        )

    def bars(self, warmup_bars: int) -> Bars:
        """Bars of the range and up to `warmup_bars` before it, with what refuses entries at each.

        Bars that are not `usable` are missing, as they are for ticks.

        Raises:
            OwnOutcomesError: the universe of a day would follow from what a parameter row traded before.
        """
        interval, start = self.strategy.own.interval, self._first(warmup_bars)
        before = max(self.strategy.universe.look_back, mask_window(self.entries.quality, self.strategy.interval))
        stored = self._candles(interval, start - before)
        candles = usable(stored, self.deployment.price_units)
        frame = candles.filter(pl.col("ts") >= start)
        if frame.is_empty():
            return self._aligned(frame, interval, start)
        symbols, length = self.entries.symbols, self.strategy.interval
        first, last = frame.select(pl.min("ts"), last=pl.max("ts")).row(0)
        days = [self.whole.start + n * DAY for n in range(self.whole.days)]
        chosen = dict(zip(days, universes(self.entries, stored, days, interval), strict=True))
        flags = flags_by_day([first + n * length for n in range((last - first) // length + 1)], chosen, symbols)
        codes = refusing_codes(self.entries, candles, first + length, last + length, interval)
        return self._aligned(
            frame, interval, start,
            universe=dict(zip(symbols, flags.T, strict=True)), controls=dict(zip(symbols, codes.T, strict=True)),
        )  # fmt: skip

    def finer_bars(self, warmup_bars: int, interval: str) -> Bars:
        """The same range in shorter bars, which settle and decide nothing."""
        start = self._first(warmup_bars)
        return self._aligned(usable(self._candles(interval, start), self.deployment.price_units), interval, start)

    def _candles(self, interval: str, start: datetime) -> pl.DataFrame:
        symbols = list(self.strategy.symbols)
        return market_tables.candles(self.world.store, self.source, symbols, interval, start, self.whole.end)

    def _aligned(
        self, frame: pl.DataFrame, interval: str, start: datetime,
        universe: Mapping[str, NDArray[np.bool_]] | None = None, controls: Mapping[str, Codes] | None = None,
    ) -> Bars:  # fmt: skip
        symbols, costs = list(self.strategy.symbols), self.strategy.costs
        funding = market_tables.funding_rates(self.world.store, self.source, symbols, start, self.whole.end)
        instruments = [kernel_instrument(item, costs) for item in self.deployment.instruments]
        return Bars.from_frame(
            frame, interval=interval, instruments=instruments, funding=funding, universe=universe, controls=controls
        )

    def run(self, bars: Bars, window: Window, warmup_bars: int, costs: Costs) -> Run:
        """A window of the bars with its contract under a cost model."""
        part, start = bars_between(bars, window, warmup_bars=warmup_bars)
        return Run(part, replace(self.terms, costs=costs, start=start), self.contract(part, window, start, costs))

    def contract(self, bars: Bars, window: Window, start: int, costs: Costs) -> RunContract:
        """The contract of a run over `bars`."""
        return RunContract(
            code_version=sources_hash(), bars_hash=bars.bars_hash, window=str(window), start=start,
            interval=bars.interval, symbols=bars.symbols, universe=self.entries.payload(), profile=self.profile,
            capital=str(self.terms.capital), costs=costs_payload(costs),
            limits_hash=limits_hash(self.terms.limits, self.terms.account_limits, bars.instrument_records),
        )  # fmt: skip

    def days(self, warmup_bars: int) -> list[str]:
        """Partition keys of the market days that the cycle reads, from the market's first day on."""
        first = min(self._first(warmup_bars), self.whole.start - self.strategy.universe.look_back)
        return days_between(self.settings, first, self.whole.end)

    def missing_days(self, warmup_bars: int) -> list[str]:
        """Those that the market source was not asked for."""
        charged = self.strategy.symbols if self.strategy.costs.funding else ()
        return uncovered_days(self.world.store, self.source, self.settings, self.days(warmup_bars), funded=charged)

    def _first(self, warmup_bars: int) -> datetime:
        """Whole days, so that finer bars begin where these do."""
        before: timedelta = warmup_bars * interval_length(self.strategy.own.interval)
        return self.whole.start - DAY * -(-before // DAY)


def finer_interval(settings: Settings, interval: str) -> str | None:
    """The finest stored interval that divides `interval` and is shorter; None where there is none."""
    length = interval_length(interval)
    shorter = [own for own in settings.intervals if interval_length(own) < length and not length % interval_length(own)]
    return shorter[0] if shorter else None


def same_span(bars: Bars, finer: Bars) -> bool:
    """Whether finer bars begin and end with the bars."""
    ends = [np.array([own.times[0], own.times[-1] + own.interval_seconds]) for own in (bars, finer)]
    return bool((ends[0] == ends[1]).all())
