"""Corrects a stored bar by what its source says now, where no recorded tick consumed it.

The first value of a bar stays whatever a source says later, so that a decision can always be traced to what it saw. A
bar that no tick saw binds nobody: an operator may replace it, and the trace of it stays in `candle_corrections`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from openclaw_pipelines.contracts.errors import DataError, LedgerError
from openclaw_pipelines.contracts.governance import AccountAction
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length, utc
from openclaw_pipelines.domain.governance.account import Change, candle_corrected
from openclaw_pipelines.domain.governance.audit import AuditEntry
from openclaw_pipelines.domain.market.features import lookback_bars
from openclaw_pipelines.domain.market.quality.units import off_unit_words, usable
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.built_bars import consumed_bars
from openclaw_pipelines.resources.store.corrections import BarKey, newest_revision, replace_candle, stored_bar
from openclaw_pipelines.resources.store.market_tables import PRICES
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.account import append_missing
from openclaw_pipelines.services.market.features import compute_features
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock


class BarConsumedError(LedgerError):
    """A bar that a recorded tick saw."""

    template = (
        "{bar} was consumed by the tick of {strategy} at {tick_at}, which is recorded with it. It stays: decisions are "
        "traced to what they saw. Later values of it are in candle_revisions."
    )
    bar: str
    strategy: str
    tick_at: datetime


class NoSuchBarError(DataError):
    """A bar that is not configured, cannot be, or that nobody has another value of."""

    template = "{bar} cannot be corrected: {why}."
    bar: str
    why: str


@dataclass(frozen=True)
class Corrected:
    """What was done. trace: row of `candle_corrections`; features_of: days whose features were computed again."""

    trace: dict[str, object]
    features_of: tuple[str, ...]


def correct_candle(
    world: World, symbol: str, interval: str, ts: datetime, *, actor: str, reason: str, revised: bool = False
) -> Corrected:
    """Replace a bar, or store one whose scale was refused, by what the source says now.

    Args:
        world: store, market and settings.
        symbol: as configured.
        interval: of the bar.
        ts: its open.
        actor: who does it.
        reason: why.
        revised: take the newest row of `candle_revisions` instead of asking the source.

    Raises:
        BarConsumedError: a recorded tick saw the bar.
        NoSuchBarError: there is nothing to correct, or nothing better to put there.
    """
    key = BarKey(world.source, symbol, interval, utc(ts, "the bar"))
    _refuse_unknown(world, key)
    with _no_ticks(world):
        _refuse_consumed(world, key)
        bar = newest_revision(world.store, key) if revised else _told(world, key)
        _refuse_pointless(world, key, bar, revised=revised)
        trace = replace_candle(
            world.store, key, bar, actor=actor, reason=reason,
            taken_from="revision" if revised else "source", now=world.clock.now(),
        )  # fmt: skip
    days = _days_of_features(world, key)
    for day in days:
        compute_features(world, day)
    trace_corrections(world)  # last: the next look at the account does it where this fails
    return Corrected(trace, tuple(days))


def trace_corrections(world: World) -> list[Change]:
    """Append the rows of `candle_corrections` that the account's chain lacks. All accounts share the candles."""
    logged = world.store.table("candle_corrections").sort("corrected_at").to_dicts()

    def missing(known: list[Change]) -> list[AuditEntry]:
        traced = {(own.at, own.details["source"], own.subject) for own in known}
        entries = [(trace, candle_corrected(trace)) for trace in logged]
        return [own for trace, own in entries if (trace["corrected_at"], trace["source"], own.subject) not in traced]

    return append_missing(world, [AccountAction.CANDLE_CORRECTED], missing) if logged else []


def _refuse_unknown(world: World, key: BarKey) -> None:
    settings = world.settings()
    if key.symbol not in settings.market.symbols or key.interval not in settings.intervals:
        series = f"{', '.join(settings.market.symbols)} at {', '.join(settings.intervals)}"
        raise NoSuchBarError(str(key), f"configured are {series}")
    length = interval_length(key.interval)
    if floor_to(key.ts, length) != key.ts:
        raise NoSuchBarError(str(key), f"no bar of {key.interval} opens then")
    if key.ts + length > world.clock.now():
        raise NoSuchBarError(str(key), "it has not closed yet")


@contextmanager
def _no_ticks(world: World) -> Iterator[None]:
    """No strategy takes a tick in the meantime, in any process."""
    settings = world.settings()
    with ExitStack() as held:
        for strategy in sorted(settings.strategies):
            held.enter_context(strategy_lock(settings, strategy))
        yield


def _refuse_consumed(world: World, key: BarKey) -> None:
    """Of any account: they share the candles."""
    for consumer in consumed_bars(world.store, [(key.symbol, key.interval, key.ts)]).values():
        raise BarConsumedError(str(key), consumer.strategy, consumer.tick_at)


def _told(world: World, key: BarKey) -> pl.DataFrame:
    end = key.ts + interval_length(key.interval)
    return world.market.candles(key.symbol, key.interval, key.ts, end, world.clock.now())


def _refuse_pointless(world: World, key: BarKey, bar: pl.DataFrame, *, revised: bool) -> None:
    if bar.is_empty():
        where = "candle_revisions has no other value of it" if revised else f"{key.source} has no such bar"
        raise NoSuchBarError(str(key), where)
    units = market_tables.price_units(world.store, key.source)
    if usable(bar, units).is_empty():
        raise NoSuchBarError(str(key), f"what it would become cannot be taken either: {off_unit_words(bar, units)}")
    stored = stored_bar(world.store, key)
    if stored.height and stored.select(PRICES).equals(bar.select(PRICES)):
        raise NoSuchBarError(str(key), "it is stored as the source has it")


def _days_of_features(world: World, key: BarKey) -> list[str]:
    """Days whose stored features read the bar."""
    last = key.ts + lookback_bars(key.interval) * interval_length(key.interval)
    symbols = world.settings().market.symbols
    start = floor_to(key.ts, DAY)
    rows = market_tables.features(world.store, key.source, symbols, key.interval, start, floor_to(last, DAY) + DAY)
    return sorted(rows["ts"].dt.strftime("%Y-%m-%d").unique())
